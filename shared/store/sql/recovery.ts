import { filterEach, flatMapEach } from '../each.ts'
import { sql } from 'kysely'
import type { Database, Transaction } from './database.ts'
import { abandonedImports, finishDeletion, unfinishedDeletions } from './deletions.ts'
import type { Instance } from './instances.ts'
import { db } from './query.ts'
import { failRun } from './runs.ts'

const ACTIVE_RESUMABLE = db
  .selectFrom('runs')
  .select(['id', 'instance_id'])
  .where(sql<boolean>`status in ('created', 'running')`)
  .where('resume', 'is not', null)
  .orderBy('created_at')

/**
 * Cleans up after instances that are gone, and after turns of this one that could not be closed: their runs are failed
 * unless somebody can go on with them, their conversations freed, their rows and lock files removed, interrupted
 * deletions finished, imports that were not completed removed. Answers the ids of the failed runs.
 */
export async function recover(database: Database, instance: Instance): Promise<string[]> {
  const [instances, holders] = await database.read(async (c) => [
    (await c.all(db.selectFrom('instances').select('id'))).map((row) => row.id),
    (
      await c.all(
        db
          .selectFrom('runs')
          .select('instance_id')
          .distinct()
          .where('status', 'in', ['created', 'running'])
          .where('instance_id', 'is not', null),
      )
    ).flatMap((row) => row.instance_id ?? []),
  ])
  const failed: string[] = []
  for (const id of new Set([...instances, ...holders])) {
    const state = await database.read(async (c) => await instance.stateOf(c, id))
    if (state === 'alive') continue
    failed.push(
      ...(await database.write(async (tx) => {
        // It may have come back since.
        const now = await instance.stateOf(tx, id)
        return now === 'alive' ? [] : await release(tx, id, now)
      })),
    )
    // A process that only stands still keeps its lock file: it may wake up and go on with new turns.
    if (state === 'dead') instance.remove(id)
  }
  failed.push(...(await releaseAbandoned(database, instance)))
  await instance.removeOrphans(new Set(instances))
  const abandoned = await abandonedImports(
    database,
    async (c, id) => (await instance.stateOf(c, id)) === 'dead',
  )
  for (const deletion of [...(await unfinishedDeletions(database)), ...abandoned])
    await finishDeletion(database, deletion)
  return failed
}

/** Runs of this process that it no longer works on: their last commit could not be written. */
async function releaseAbandoned(database: Database, instance: Instance): Promise<string[]> {
  const own = await database.read(
    async (c) =>
      await c.all(
        db
          .selectFrom('runs')
          .select(['id', 'resume'])
          .where('instance_id', '=', instance.id)
          .where('status', 'in', ['created', 'running']),
      ),
  )
  const { ends } = instance
  for (const id of ends.keys()) if (!own.some((run) => run.id === id)) ends.delete(id)
  const abandoned = own
    .filter(({ id, resume }) => !instance.holds(id) && (resume === null || ends.has(id)))
    .map(({ id }) => id)
  if (abandoned.length === 0) return []
  return await database.write(async (tx) => {
    await tx.send(
      db
        .updateTable('conversations')
        .set((eb) => ({ epoch: eb('epoch', '+', 1), run_id: null, instance_id: null }))
        .where('run_id', 'in', abandoned),
    )
    return await filterEach(abandoned, async (id) => await failRun(tx, id, ends.get(id)))
  })
}

async function release(tx: Transaction, instance_id: string, state: 'dead' | 'stale'): Promise<string[]> {
  const runs = await tx.all(
    db
      .selectFrom('runs')
      .select(['id', 'conversation_id'])
      .where('instance_id', '=', instance_id)
      .where('status', 'in', ['created', 'running'])
      .where('resume', 'is', null),
  )
  const failed = await filterEach(
    runs.map((run) => run.id),
    async (id) => await failRun(tx, id),
  )
  const held = runs.map((run) => run.conversation_id)
  await tx.send(
    db
      .updateTable('conversations')
      .set((eb) => ({ epoch: eb('epoch', '+', 1), run_id: null, instance_id: null }))
      .where('id', 'in', held)
      .where('instance_id', '=', instance_id)
      // What can be gone on with keeps its conversation until somebody does.
      .where('run_id', 'not in', ACTIVE_RESUMABLE.clearSelect().clearOrderBy().select('id')),
  )
  if (state === 'dead') await tx.send(db.deleteFrom('instances').where('id', '=', instance_id))
  return failed
}

/** Runs that can be gone on with because nobody works on them any more. */
export async function interruptedRuns(database: Database, instance: Instance): Promise<string[]> {
  const runs = await database.read(async (c) => await c.all(ACTIVE_RESUMABLE))
  if (runs.length === 0) return []
  return await database.read(async (c) => {
    const alive = new Map<string, boolean>()
    return await flatMapEach(runs, async ({ id, instance_id: holder }) => {
      // How it was to end is still to be written.
      if (holder === instance.id) return instance.holds(id) || instance.ends.has(id) ? [] : [id]
      if (holder === null) return [id]
      const lives = alive.get(holder) ?? (await instance.stateOf(c, holder)) === 'alive'
      alive.set(holder, lives)
      return lives ? [] : [id]
    })
  })
}

/** A run was ended without its process: its conversation is free. */
export async function freeConversationOf(tx: Transaction, run_id: string): Promise<void> {
  await tx.send(
    db
      .updateTable('conversations')
      .set((eb) => ({ epoch: eb('epoch', '+', 1), run_id: null, instance_id: null }))
      .where('run_id', '=', run_id),
  )
}

import { filterEach } from '../each.ts'
import { isId } from '../../schema/ids.ts'
import type { Database, Transaction } from './database.ts'
import { deleteSomeVectors } from './embeddings.ts'
import { clearFolder } from './file-links.ts'
import type { Connection } from './query.ts'
import { db } from './query.ts'
import { deleteChunks } from './run-chunks.ts'
import { inSlices } from './slices.ts'
import { deleteTraces } from './traces.ts'

/** Rows that one transaction removes, the first and any. */
const ROWS = { first: 50, most: 500 }
/** Rows after which the full-text index drops what was deleted: it must not have to skip much of it at once. */
const MERGE_AFTER = 500

const DELETIONS = db.selectFrom('deletions').select(['agent_id', 'organization_id'])

/** An agent, or a folder, that is gone, whose rows may not all be. */
interface Deletion {
  agent_id: string
  organization_id: string
}

/**
 * Removes what is left of a deleted agent (messages with their index, conversations, runs, steps) or of a deleted folder
 * (its files). In many short transactions, so that no other process waits for a big one; after a crash the next
 * `recover` goes on.
 */
export async function finishDeletion(
  database: Database,
  { agent_id, organization_id }: Deletion,
): Promise<void> {
  if (isId('source', agent_id)) await clearFolder(database, agent_id)
  else
    await deleteInSlices(database, async (tx, rows) => await deleteSome(tx, agent_id, organization_id, rows))
  await database.write(
    async (tx) => await tx.run(db.deleteFrom('deletions').where('agent_id', '=', agent_id)),
  )
}

/**
 * Deletes rows in many short transactions, merging the full-text indexes in between. `work` deletes so many at the most
 * and answers how many it did; 0 ends it.
 */
export async function deleteInSlices(
  database: Database,
  work: (tx: Transaction, rows: number) => Promise<number>,
): Promise<void> {
  let unmerged = 0
  const between = async () => {
    if (unmerged < MERGE_AFTER) return
    unmerged = 0
    await database.mergeIndexes(['messages_fts'])
  }
  await inSlices(database, { ...ROWS, between }, async (tx, rows) => {
    const deleted = await work(tx, rows)
    unmerged += deleted
    return deleted > 0
  })
  await database.mergeIndexes(['messages_fts'])
}

/** Deletes these messages with their search texts; answers how many there were. */
export async function deleteMessageRows(tx: Transaction, seqs: readonly number[]): Promise<number> {
  if (seqs.length === 0) return 0
  await tx.send(db.deleteFrom('messages_fts').where('rowid', 'in', seqs))
  return await tx.run(db.deleteFrom('messages').where('seq', 'in', seqs))
}

/** Agents whose deletion was interrupted. */
export function unfinishedDeletions(database: Database): Promise<Deletion[]> {
  return database.read(async (c) => await c.all(DELETIONS.where('instance_id', 'is', null)))
}

/** Stands for the process of an agent that is being brought from another server: whoever goes on with that does. */
export const BROUGHT = 'brought'

/** Agents that a process was importing when it died; `isGone` tells which have. */
export function abandonedImports(
  database: Database,
  isGone: (connection: Connection, instance_id: string) => Promise<boolean>,
): Promise<Deletion[]> {
  return database.read(async (c) =>
    filterEach(
      await c.all(
        DELETIONS.select('instance_id')
          .where('instance_id', 'is not', null)
          .where('instance_id', '<>', BROUGHT),
      ),
      async ({ instance_id }) => instance_id !== null && (await isGone(c, instance_id)),
    ),
  )
}

/** Its private blocks go with it: nobody else has them. */
async function deleteConversation(tx: Transaction, id: string, rows: number): Promise<number> {
  const contexts = db.selectFrom('earlier_contexts').select('id').where('conversation_id', '=', id)
  const earlier = await tx.run(db.deleteFrom('earlier_contexts').where('id', 'in', contexts.limit(rows)))
  if (earlier > 0) return earlier
  const blocks = db.selectFrom('conversations_blocks').select('block_id').where('conversation_id', '=', id)
  await tx.send(db.deleteFrom('blocks').where('id', 'in', blocks))
  await tx.send(db.deleteFrom('conversations_blocks').where('conversation_id', '=', id))
  return await tx.run(db.deleteFrom('conversations').where('id', '=', id))
}

/** Deletes the first places of a context, so many at the most; answers how many there were. */
async function deleteContext(tx: Transaction, conversation_id: string, rows: number): Promise<number> {
  const last = (
    await tx.all(
      db
        .selectFrom('context_messages')
        .select('position')
        .where('conversation_id', '=', conversation_id)
        .orderBy('position')
        .limit(rows),
    )
  ).at(-1)
  if (!last) return 0
  return await tx.run(
    db
      .deleteFrom('context_messages')
      .where('conversation_id', '=', conversation_id)
      .where('position', '<=', last.position),
  )
}

async function deleteSome(
  tx: Transaction,
  agent_id: string,
  organization_id: string,
  rows: number,
): Promise<number> {
  const [vectors, messages, conversation] = await Promise.all([
    deleteSomeVectors(tx, agent_id, rows),
    tx.all(db.selectFrom('messages').select('seq').where('agent_id', '=', agent_id).limit(rows)),
    tx.get(db.selectFrom('conversations').select('id').where('agent_id', '=', agent_id).limit(1)),
  ])
  if (vectors > 0) return vectors
  const seqs = messages.map((row) => row.seq)
  if (seqs.length > 0) return await deleteMessageRows(tx, seqs)
  if (conversation)
    return (
      (await deleteContext(tx, conversation.id, rows)) ||
      (await deleteConversation(tx, conversation.id, rows))
    )
  // Of an import that was not completed there is no conversation yet.
  const staged = await deleteContext(tx, agent_id, rows)
  if (staged > 0) return staged
  const runs = await tx.all(
    db
      .selectFrom('runs')
      .select('id')
      .where('organization_id', '=', organization_id)
      .where('agent_id', '=', agent_id)
      .limit(rows),
  )
  const ids = runs.map((run) => run.id)
  const ofStreams = await deleteChunks(tx, ids, rows)
  if (ofStreams > 0) return ofStreams
  if (ids.length > 0) await tx.send(db.deleteFrom('run_otids').where('run_id', 'in', ids))
  const steps = await tx.all(
    db
      .selectFrom('steps')
      .select('id')
      .where('organization_id', '=', organization_id)
      .where('agent_id', '=', agent_id)
      .limit(rows),
  )
  await deleteTraces(
    tx,
    steps.map((step) => step.id),
  )
  for (const table of ['compactions', 'steps', 'runs'] as const) {
    const some = db
      .selectFrom(table)
      .select('id')
      .where('organization_id', '=', organization_id)
      .where('agent_id', '=', agent_id)
      .limit(rows)
    const deleted = await tx.run(db.deleteFrom(table).where('id', 'in', some))
    if (deleted > 0) return deleted
  }
  return 0
}

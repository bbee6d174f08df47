import { filterEach } from '../each.ts'
import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import { AppError } from '../../schema/errors.ts'
import type { Run, Step } from '../../schema/run.ts'
import type { Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import { forgetTraces } from './traces.ts'
import { type RunData, type StepData, stepOf } from './runs.ts'
import { jsonFlag } from './json.ts'

export type CallbackOutcome = Pick<Run, 'callback_sent_at' | 'callback_status_code' | 'callback_error'>

const ACTIVE = ['created', 'running']

const runRow = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('runs')
    .select(['status', 'agent_id', 'data'])
    .where('id', '=', p.id)
    .where('organization_id', '=', p.org),
)
const setRunData = query<{ id: string; data: string }>()((p) =>
  db.updateTable('runs').set({ data: p.data }).where('id', '=', p.id),
)
const stepById = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('steps').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
/** Read twice a second while turns run: the index of active runs makes it a look at a handful of rows. */
const askedToCancel = query<{ instance: string }>()((p) =>
  db
    .selectFrom('runs')
    .select('id')
    .where('instance_id', '=', p.instance)
    .where(sql<boolean>`status in ('created', 'running')`)
    .where(jsonFlag('data', 'cancel_requested')),
)

const homeOf = query<{ id: string }>()((p) =>
  db
    .selectFrom('runs')
    .innerJoin('agents', 'agents.id', 'runs.agent_id')
    .innerJoin('conversations', 'conversations.id', 'runs.conversation_id')
    .select('runs.id')
    .where('runs.id', '=', p.id),
)

/** Deletes a run that has ended, with its steps. */
export async function deleteRun(tx: Transaction, actor: Actor, id: string): Promise<boolean> {
  const row = await runRow.get(tx, { id, org: actor.organization_id })
  if (!row) return false
  if (ACTIVE.includes(row.status))
    throw new AppError('conflict', `the run '${id}' is still running; cancel it first`, {
      data: { run_id: id },
    })
  await forgetTraces(tx, id)
  await tx.send(
    db.deleteFrom('steps').where('run_id', '=', id).where('organization_id', '=', actor.organization_id),
  )
  await tx.send(db.deleteFrom('run_chunks').where('run_id', '=', id))
  await tx.send(db.deleteFrom('run_otids').where('run_id', '=', id))
  await tx.send(db.deleteFrom('runs').where('id', '=', id))
  await tx.event(actor, 'run.updated', id, row.agent_id)
  return true
}

/** Keeps how the call of a run's `callback_url` went; a run that was deleted meanwhile is left alone. */
export async function saveCallback(
  tx: Transaction,
  actor: Actor,
  id: string,
  outcome: CallbackOutcome,
): Promise<void> {
  const row = await runRow.get(tx, { id, org: actor.organization_id })
  if (!row) return
  const data = JSON.stringify({ ...(JSON.parse(row.data) as RunData), ...outcome })
  await setRunData.send(tx, { id, data })
}

/** Leaves a note for the process that runs it. */
export async function requestCancel(tx: Transaction, actor: Actor, id: string): Promise<boolean> {
  const row = await runRow.get(tx, { id, org: actor.organization_id })
  if (!row || !ACTIVE.includes(row.status)) return false
  const data = JSON.stringify({ ...(JSON.parse(row.data) as RunData), cancel_requested: true })
  await setRunData.send(tx, { id, data })
  return true
}

/** Runs of this instance with such a note, and those of `held` whose agent or conversation was deleted. */
export async function cancelRequests(
  connection: Connection,
  instance: string,
  held: readonly string[],
): Promise<string[]> {
  const asked = (await askedToCancel.all(connection, { instance })).map((row) => row.id)
  const homeless = await filterEach(held, async (id) => !(await homeOf.get(connection, { id })))
  return [...new Set([...asked, ...homeless])]
}

/** One step of the actor's organisation. */
export async function readStep(connection: Connection, actor: Actor, id: string): Promise<Step | null> {
  const row = await stepById.get(connection, { id, org: actor.organization_id })
  return row ? stepOf(row) : null
}

/** Changes what a user thinks of a step; undefined fields stay. */
export async function updateStep(
  tx: Transaction,
  actor: Actor,
  id: string,
  patch: Pick<Step, 'feedback' | 'tags'>,
): Promise<Step | null> {
  const row = await stepById.get(tx, { id, org: actor.organization_id })
  if (!row) return null
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
  const data = JSON.stringify({ ...(JSON.parse(row.data) as StepData), ...given })
  await tx.send(db.updateTable('steps').set({ data }).where('id', '=', id))
  return stepOf({ ...row, data })
}

import type { TakenOver } from '../../core/ports/turn-store.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { Transaction } from './database.ts'
import { query, db } from './query.ts'
import { lastSeq } from './run-chunks.ts'
import { failRun, readRun } from './runs.ts'
import { unlessTaken } from './unless-taken.ts'

const ACTIVE = ['created', 'running']

const runRow = query<{ id: string }>()((p) => db.selectFrom('runs').selectAll().where('id', '=', p.id))
/** Two that take it over at once do not both do all the work for nothing. */
const freeRun = query<{ id: string }>()((p) =>
  db.selectFrom('runs').selectAll().where('id', '=', p.id).modifyEnd(unlessTaken),
)
const stepCount = query<{ run: string; org: string }>()((p) =>
  db
    .selectFrom('steps')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('organization_id', '=', p.org)
    .where('run_id', '=', p.run),
)
const hold = query<{ id: string; instance: string; attempts: number }>()((p) =>
  db.updateTable('runs').set({ instance_id: p.instance, attempts: p.attempts }).where('id', '=', p.id),
)
const progress = query<{ id: string }>()((p) =>
  db.updateTable('runs').set({ attempts: 0 }).where('id', '=', p.id).where('attempts', '>', 0),
)

/** A run that was left behind, as its row says. */
export type Interrupted = Omit<TakenOver, 'opened' | 'conversation_id' | 'organization_id'> & {
  conversation_id: string
  actor: Actor
}

/** The run, when it can be gone on with; `isGone` tells whether its holder is. It is failed after too many attempts. */
export async function readInterrupted(
  tx: Transaction,
  run_id: string,
  options: { max_attempts: number; isGone: (instance_id: string | null) => Promise<boolean> },
): Promise<Interrupted | 'given up' | null> {
  const row = await freeRun.get(tx, { id: run_id })
  if (!row || row.resume === null || !ACTIVE.includes(row.status) || !(await options.isGone(row.instance_id)))
    return null
  if (row.attempts >= options.max_attempts) {
    await failRun(
      tx,
      run_id,
      `The process that ran this turn died, or could not save a step, ${row.attempts + 1} times in a row, so the turn was ` +
        'given up. What it had committed is kept.',
    )
    return 'given up'
  }
  const actor: Actor = { user_id: '', organization_id: row.organization_id }
  const run = await readRun(tx, actor, run_id)
  if (!run) return null
  return {
    run,
    actor,
    conversation_id: row.conversation_id,
    resume: JSON.parse(row.resume) as Record<string, unknown>,
    last_seq: await lastSeq(tx, run_id),
    steps: (await stepCount.get(tx, { run: run_id, org: row.organization_id }))?.n ?? 0,
    attempt: row.attempts + 1,
    cancel_requested: (JSON.parse(row.data) as { cancel_requested?: boolean }).cancel_requested === true,
  }
}

/** Makes it a run of this instance. */
export async function holdRun(tx: Transaction, run_id: string, instance_id: string): Promise<void> {
  const attempts = ((await runRow.get(tx, { id: run_id }))?.attempts ?? 0) + 1
  await hold.send(tx, { id: run_id, instance: instance_id, attempts })
}

/** A step of the run was committed: what took its process down is behind it. */
export async function madeProgress(tx: Transaction, run_id: string): Promise<void> {
  await progress.send(tx, { id: run_id })
}

/** Whether somebody can go on with an active run whose process is gone. */
export async function canBeResumed(tx: Transaction, run_id: string): Promise<boolean> {
  const row = await runRow.get(tx, { id: run_id })
  return row !== undefined && row.resume !== null && ACTIVE.includes(row.status)
}

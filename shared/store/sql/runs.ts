import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { RunFilter, StepFilter } from '../../core/ports/run-store.ts'
import type { FinishRun } from '../../core/ports/turn-store.ts'
import type { StopReason } from '../../schema/message.ts'
import type { Page } from '../../schema/page.ts'
import type { Run, RunStatus, Step } from '../../schema/run.ts'
import type { Transaction } from './database.ts'
import { windowOf } from './page.ts'
import type { Connection } from './query.ts'
import { query, db, portable } from './query.ts'
import type { RunRow, StepRow } from './tables.ts'
import { jsonText } from './json.ts'

export type RunData = Pick<
  Run,
  | 'request_config'
  | 'base_template_id'
  | 'callback_url'
  | 'callback_sent_at'
  | 'callback_status_code'
  | 'callback_error'
>
export type StepData = Omit<Step, 'id' | 'run_id' | 'agent_id' | 'created_at'>

const INTERRUPTED =
  'The process that ran this turn stopped before the turn was finished. What it had committed is kept.'

const runById = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('runs').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const addRun = query<RunRow>()((p) =>
  db.insertInto('runs').values({
    id: p.id,
    organization_id: p.organization_id,
    agent_id: p.agent_id,
    conversation_id: p.conversation_id,
    instance_id: p.instance_id,
    status: p.status,
    stop_reason: p.stop_reason,
    background: p.background,
    created_at: p.created_at,
    completed_at: p.completed_at,
    ttft_ns: p.ttft_ns,
    total_duration_ns: p.total_duration_ns,
    metadata: p.metadata,
    stream: p.stream,
    resume: p.resume,
    attempts: p.attempts,
    data: p.data,
  }),
)
const addStep = query<StepRow>()((p) =>
  db.insertInto('steps').values({
    id: p.id,
    organization_id: p.organization_id,
    run_id: p.run_id,
    agent_id: p.agent_id,
    created_at: p.created_at,
    data: p.data,
  }),
)

/** Stores a run that begins now, held by this instance. */
export async function insertRun(
  tx: Transaction,
  actor: Actor,
  run: Run,
  place: { conversation_id: string; instance_id: string; stream: number; resume: string | null },
): Promise<void> {
  await addRun.send(tx, { ...rowOfRun(actor, { ...run, status: 'running' }), ...place })
}

/** Stores a run that has ended elsewhere, with no stream. */
export async function insertEndedRun(
  tx: Transaction,
  actor: Actor,
  run: Run,
  conversation_id: string,
): Promise<void> {
  await addRun.send(tx, {
    ...rowOfRun(actor, run),
    conversation_id,
    instance_id: null,
    stream: 0,
    resume: null,
  })
}

function rowOfRun(
  actor: Actor,
  run: Run,
): Omit<RunRow, 'conversation_id' | 'instance_id' | 'stream' | 'resume'> {
  const data: RunData = {
    request_config: run.request_config,
    base_template_id: run.base_template_id,
    callback_url: run.callback_url,
    callback_sent_at: run.callback_sent_at,
    callback_status_code: run.callback_status_code,
    callback_error: run.callback_error,
  }
  return {
    id: run.id,
    organization_id: actor.organization_id,
    agent_id: run.agent_id,
    status: run.status,
    stop_reason: run.stop_reason,
    background: Number(run.background),
    created_at: run.created_at,
    completed_at: run.completed_at,
    ttft_ns: run.ttft_ns,
    total_duration_ns: run.total_duration_ns,
    metadata: json(run.metadata),
    attempts: 0,
    data: JSON.stringify(data),
  }
}

/** Stores a step. */
export async function insertStep(tx: Transaction, actor: Actor, step: Step): Promise<void> {
  const { id, run_id, agent_id, created_at, ...rest } = step
  const data: StepData = rest
  await addStep.send(tx, {
    id,
    organization_id: actor.organization_id,
    run_id,
    agent_id,
    created_at,
    data: JSON.stringify(data),
  })
}

/**
 * Ends a run whose process is gone, with a reason that a user can read; false when it had ended already. It crosses
 * organisations on purpose: whoever finds the dead cleans up, and the event goes to the run's own organisation.
 */
export async function failRun(
  tx: Transaction,
  run_id: string,
  end: string | Pick<FinishRun, 'status' | 'stop_reason' | 'metadata'> = INTERRUPTED,
): Promise<boolean> {
  const run = await tx.get(
    db
      .selectFrom('runs')
      .select(['organization_id', 'agent_id', 'metadata'])
      .where('id', '=', run_id)
      .where('status', 'in', ['created', 'running']),
  )
  if (!run) return false
  const ended =
    typeof end === 'string'
      ? { status: 'failed' as const, stop_reason: 'error' as const, metadata: { error: end } }
      : end
  const metadata = {
    ...(run.metadata === null ? {} : (JSON.parse(run.metadata) as Record<string, unknown>)),
    ...ended.metadata,
  }
  await tx.send(
    db
      .updateTable('runs')
      .set({
        status: ended.status,
        stop_reason: ended.stop_reason,
        completed_at: new Date().toISOString(),
        metadata: JSON.stringify(metadata),
      })
      .where('id', '=', run_id),
  )
  await tx.event({ organization_id: run.organization_id, user_id: '' }, 'run.updated', run_id, run.agent_id)
  return true
}

/** One run of the actor's organisation. */
export async function readRun(connection: Connection, actor: Actor, id: string): Promise<Run | null> {
  const row = await runById.get(connection, { id, org: actor.organization_id })
  return row ? runOf(row) : null
}

/** A page of runs, by creation. */
export async function readRuns(
  connection: Connection,
  actor: Actor,
  filter: RunFilter,
  page: Page,
): Promise<Run[]> {
  const sorting = { table: 'runs', column: 'created_at' } as const
  const window = await windowOf(connection, actor.organization_id, sorting, page)
  let rows = db.selectFrom('runs').selectAll().where('organization_id', '=', actor.organization_id)
  if (filter.agent_id !== undefined) rows = rows.where('agent_id', '=', filter.agent_id)
  if (filter.agent_ids) rows = rows.where('agent_id', 'in', filter.agent_ids)
  if (filter.conversation_id !== undefined) rows = rows.where('conversation_id', '=', filter.conversation_id)
  if (filter.statuses) rows = rows.where('status', 'in', filter.statuses)
  if (filter.background !== undefined) rows = rows.where('background', '=', Number(filter.background))
  if (filter.stop_reason !== undefined) rows = rows.where('stop_reason', '=', filter.stop_reason)
  for (const condition of window.conditions) rows = rows.where(condition)
  const runs = (await connection.all(rows.orderBy(window.direction).limit(page.limit))).map(runOf)
  return window.turned ? runs.toReversed() : runs
}

/** A page of steps, by creation. */
export async function readSteps(
  connection: Connection,
  actor: Actor,
  filter: StepFilter,
  page: Page,
): Promise<Step[]> {
  const sorting = { table: 'steps', column: 'created_at' } as const
  const window = await windowOf(connection, actor.organization_id, sorting, page)
  let rows = db.selectFrom('steps').selectAll().where('organization_id', '=', actor.organization_id)
  if (filter.run_id !== undefined) rows = rows.where('run_id', '=', filter.run_id)
  if (filter.agent_id !== undefined) rows = rows.where('agent_id', '=', filter.agent_id)
  if (filter.start_date !== undefined) rows = rows.where('created_at', '>=', filter.start_date)
  if (filter.end_date !== undefined) rows = rows.where('created_at', '<', filter.end_date)
  if (filter.model !== undefined) rows = rows.where(field('model'), '=', filter.model)
  if (filter.feedback !== undefined) rows = rows.where(field('feedback'), '=', filter.feedback)
  if (filter.has_feedback !== undefined) {
    rows = rows.where(field('feedback'), filter.has_feedback ? 'is not' : 'is', null)
  }
  if (filter.tags) {
    const tags = sql.join(filter.tags)
    rows = rows.where(
      portable<boolean>({
        sqlite: sql`exists (select 1 from json_each(steps.data, '$.tags') where value in (${tags}))`,
        postgres: sql`exists (select 1 from json_array_elements_text(
          case when json_typeof(steps.data::json -> 'tags') = 'array' then steps.data::json -> 'tags' end
        ) as tag where tag in (${tags}))`,
      }),
    )
  }
  for (const condition of window.conditions) rows = rows.where(condition)
  const steps = (await connection.all(rows.orderBy(window.direction).limit(page.limit))).map(stepOf)
  return window.turned ? steps.toReversed() : steps
}

/** A field of the JSON in a step's row. */
function field(name: string) {
  return jsonText('steps.data', name)
}

/** JSON text of a nullable column. */
export function json(value: Record<string, unknown> | null): string | null {
  return value === null ? null : JSON.stringify(value)
}

function runOf(row: RunRow): Run {
  const { cancel_requested: _, ...data } = JSON.parse(row.data) as RunData & { cancel_requested?: boolean }
  return {
    ...data,
    id: row.id,
    agent_id: row.agent_id,
    // The default conversation has the agent's id inside and none outside.
    conversation_id: row.conversation_id === row.agent_id ? null : row.conversation_id,
    status: row.status as RunStatus,
    stop_reason: row.stop_reason as StopReason | null,
    background: row.background === 1,
    created_at: row.created_at,
    completed_at: row.completed_at,
    metadata: row.metadata === null ? null : (JSON.parse(row.metadata) as Record<string, unknown>),
    ttft_ns: row.ttft_ns,
    total_duration_ns: row.total_duration_ns,
  }
}

/** The step of a row. */
export function stepOf(row: StepRow): Step {
  return {
    ...(JSON.parse(row.data) as StepData),
    id: row.id,
    run_id: row.run_id,
    agent_id: row.agent_id,
    created_at: row.created_at,
  }
}

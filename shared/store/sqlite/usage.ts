import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { UsageQuery, UsageRow, UsageStore } from '../../core/ports/usage-store.ts'
import type { Step } from '../../schema/run.ts'
import type { UsageGroup, UsageKey } from '../../schema/usage.ts'
import { pause } from '../pause.ts'
import type { Database, Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'
import type { UsageHourRow } from './tables.ts'

const HOUR_MS = 3_600_000
/** Hours that one read adds up at first; then as many as take about this long, in milliseconds. */
const FIRST_HOURS = 24
const SLICE_MS = 4

const COUNTS = [
  'runs',
  'steps',
  'failed_steps',
  'uncosted_steps',
  'prompt_tokens',
  'completion_tokens',
  'total_tokens',
  'cached_input_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
] as const

const COLUMNS = { agent: 'agent_id', user: 'user_id', model: 'model' } as const

const stepOfRun = query<{ run: string; org: string }>()((p) =>
  sqlite
    .selectFrom('steps')
    .select('id')
    .where('organization_id', '=', p.org)
    .where('run_id', '=', p.run)
    .limit(1),
)
const addUsage = query<UsageHourRow>()((p) =>
  sqlite
    .insertInto('usage_hours')
    .values({
      organization_id: p.organization_id,
      hour: p.hour,
      user_id: p.user_id,
      agent_id: p.agent_id,
      model: p.model,
      runs: p.runs,
      steps: p.steps,
      failed_steps: p.failed_steps,
      uncosted_steps: p.uncosted_steps,
      prompt_tokens: p.prompt_tokens,
      completion_tokens: p.completion_tokens,
      total_tokens: p.total_tokens,
      cached_input_tokens: p.cached_input_tokens,
      cache_write_tokens: p.cache_write_tokens,
      reasoning_tokens: p.reasoning_tokens,
      cost_usd: p.cost_usd,
    })
    .onConflict((on) =>
      on.columns(['organization_id', 'hour', 'user_id', 'agent_id', 'model']).doUpdateSet({
        ...(Object.fromEntries(
          COUNTS.map((name) => [
            name,
            sql<number>`${sql.ref(`usage_hours.${name}`)} + ${sql.ref(`excluded.${name}`)}`,
          ]),
        ) as Record<(typeof COUNTS)[number], ReturnType<typeof sql<number>>>),
        // Null and a number is that number; two nulls stay unknown.
        cost_usd: sql<
          number | null
        >`coalesce(usage_hours.cost_usd + excluded.cost_usd, usage_hours.cost_usd, excluded.cost_usd)`,
      }),
    ),
)

/** Counts what a step used, before the step itself is stored in the same transaction. */
export function countUsage(tx: Transaction, actor: Actor, step: Step): void {
  const first = !stepOfRun.get(tx, { run: step.run_id, org: actor.organization_id })
  const cost = step.cost_usd ?? null
  addUsage.run(tx, {
    organization_id: actor.organization_id,
    hour: Math.floor(Date.parse(step.created_at) / HOUR_MS),
    user_id: actor.user_id,
    agent_id: step.agent_id,
    model: step.model_handle ?? step.model ?? 'unknown',
    runs: Number(first),
    steps: 1,
    failed_steps: Number(step.status === 'failed'),
    uncosted_steps: Number(cost === null && step.status !== 'failed'),
    prompt_tokens: step.prompt_tokens,
    completion_tokens: step.completion_tokens,
    total_tokens: step.total_tokens,
    cached_input_tokens: step.cached_input_tokens ?? 0,
    cache_write_tokens: step.cache_write_tokens ?? 0,
    reasoning_tokens: step.reasoning_tokens ?? 0,
    cost_usd: cost,
  })
}

/** Reads what `countUsage` counted. */
export class SqliteUsage implements UsageStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async read(actor: Actor, wanted: UsageQuery): Promise<UsageRow[]> {
    const { from, to } = wanted.hours
    const sums = new Map<string, UsageRow>()
    let size = FIRST_HOURS
    for (let at = from; at < to;) {
      const until = Math.min(to, at + size)
      const began = performance.now()
      const rows = await this.#database.read((c) => readSlice(c, actor, wanted, at, until))
      const took = performance.now() - began
      for (const row of rows) add(sums, row)
      at = until
      // A year of many agents must not hold up the turns of this process.
      size = took > SLICE_MS ? Math.max(1, Math.floor((size * SLICE_MS) / (2 * took))) : size * 2
      if (at < to) await pause(0)
    }
    return [...sums.values()].toSorted((a, b) => a.hour - b.hour)
  }
}

/** The sums of some hours. */
function readSlice(c: Connection, actor: Actor, wanted: UsageQuery, from: number, to: number): UsageRow[] {
  const { group_by, interval } = wanted
  const size = interval === null ? null : interval === 'day' ? 24 : 1
  const hour =
    size === null
      ? sql<number>`${sql.lit(wanted.hours.from)}`
      : sql<number>`hour / ${sql.lit(size)} * ${sql.lit(size)}`
  let rows = sqlite
    .selectFrom('usage_hours')
    .select(hour.as('first_hour'))
    .select(group_by.map((group) => COLUMNS[group]))
    .select(COUNTS.map((name) => sql<number>`sum(${sql.ref(name)})`.as(name)))
    .select(sql<number | null>`sum(cost_usd)`.as('cost_usd'))
    .where('hour', '>=', from)
    .where('hour', '<', to)
    .groupBy(['first_hour', ...group_by.map((group) => COLUMNS[group])])
  if (!wanted.anywhere) rows = rows.where('organization_id', '=', actor.organization_id)
  if (wanted.agent_id !== undefined) rows = rows.where('agent_id', '=', wanted.agent_id)
  if (wanted.user_id !== undefined) rows = rows.where('user_id', '=', wanted.user_id)
  if (wanted.model !== undefined) rows = rows.where('model', '=', wanted.model)
  if (wanted.only) {
    const keys = wanted.only
    rows = rows.where((e) =>
      e.or(keys.map((key) => e.and(group_by.map((group) => e(COLUMNS[group], '=', valueOf(key, group)))))),
    )
  }
  return c.all(rows).map(({ first_hour, uncosted_steps, ...row }) => ({
    ...row,
    hour: first_hour,
    steps_without_cost: uncosted_steps,
  }))
}

function add(sums: Map<string, UsageRow>, row: UsageRow): void {
  const key = JSON.stringify([row.hour, row.agent_id, row.user_id, row.model])
  const sum = sums.get(key)
  if (!sum) return void sums.set(key, row)
  for (const name of COUNTS) if (name !== 'uncosted_steps') sum[name] += row[name]
  sum.steps_without_cost += row.steps_without_cost
  if (row.cost_usd !== null) sum.cost_usd = (sum.cost_usd ?? 0) + row.cost_usd
}

function valueOf(key: UsageKey, group: UsageGroup): string {
  return key[COLUMNS[group]] ?? ''
}

import * as z from 'zod'
import type { UsageRow } from '../../core/ports/usage-store.ts'
import { AppError } from '../../schema/errors.ts'
import { idSchema } from '../../schema/ids.ts'
import { endInstant, instant, listOf } from '../../schema/page.ts'
import {
  type UsageCounts,
  usageGroup,
  usageInterval,
  type UsageReport,
  usageReport,
} from '../../schema/usage.ts'
import type { Access } from '../access.ts'
import { route } from '../route.ts'

const HOUR_MS = 3_600_000
const DEFAULT_HOURS = 30 * 24
/** Hours or days that one answer may hold, and those of all its groups together. */
const MOST_INTERVALS = 1000
const MOST_ROWS = 20_000

export const routes = [
  route({
    method: 'GET',
    path: '/v1/usage',
    operation: 'retrieve_usage',
    summary:
      'What agents used: runs, steps, tokens and cost, in all, by agent, user and model, and over time. The owner sees all organisations',
    query: z.object({
      agent_id: idSchema('agent').optional(),
      /** Of others than oneself for the owner, and for admins in their organisation. */
      user_id: idSchema('user').optional(),
      /** A handle, `provider/model`. */
      model: z.string().optional(),
      /** Default: 30 days before the end. */
      start: instant.optional(),
      /** Default: now. */
      end: endInstant.optional(),
      interval: usageInterval.optional(),
      /** `group_by=agent&group_by=model` or `group_by=agent,model`. */
      group_by: z.preprocess(
        (value) => (typeof value === 'string' ? value.split(',') : value),
        listOf(usageGroup),
      ),
      /** Groups that are shown. */
      limit: z.coerce.number().int().min(1).max(1000).default(100),
    }),
    answer: usageReport,
    async handle({ actor, access, context, query }): Promise<UsageReport> {
      const { agent_id, model, limit, interval = null } = query
      const user_id = userOf(access, query.user_id)
      const group_by = [...new Set(query.group_by ?? [])]
      const hours = hoursOf(query, context.deps.clock.now())
      const anywhere = access.role === 'owner'
      const wanted = { anywhere, agent_id, user_id, model, hours, group_by }
      const { usage } = context.deps.store
      const all = await usage.read(actor, { ...wanted, interval: null })
      const largest =
        group_by.length === 0
          ? []
          : all.toSorted((a, b) => b.total_tokens - a.total_tokens || b.steps - a.steps)
      const shown = largest.slice(0, limit)
      const inTime = { ...wanted, interval }
      if (interval !== null) refuseTooMany(hours, interval, Math.max(1, shown.length))
      const [sums, ofGroups] =
        interval === null || all.length === 0
          ? [[], []]
          : await Promise.all([
              usage.read(actor, { ...inTime, group_by: [] }),
              shown.length === 0 ? [] : usage.read(actor, { ...inTime, only: shown }),
            ])
      const byHour = Map.groupBy(ofGroups, ({ hour }) => hour)
      return {
        start: timeOf(hours.from),
        end: timeOf(hours.to),
        interval,
        group_by,
        total: sumOf(all),
        groups: shown.map(withoutHour),
        groups_left_out: largest.length - shown.length,
        series: sums.map(({ hour, ...sum }) => ({
          start: timeOf(hour),
          ...sum,
          ...(group_by.length > 0 ? { groups: (byHour.get(hour) ?? []).map(withoutHour) } : {}),
        })),
      }
    },
  }),
]

/** Whose usage is meant: everybody's for the owner and admins, one's own for everybody else. */
function userOf({ role, actor }: Access, named: string | undefined): string | undefined {
  if (role === 'owner' || role === 'admin') return named
  if (named === undefined || named === actor.user_id) return actor.user_id
  throw new AppError(
    'forbidden',
    `the usage of other users is shown to admins; this key's user has the role '${role}'`,
  )
}

function hoursOf({ start, end }: { start?: string | undefined; end?: string | undefined }, now: Date) {
  const to = Math.ceil((end === undefined ? now.getTime() + 1 : Date.parse(end)) / HOUR_MS)
  const from = start === undefined ? to - DEFAULT_HOURS : Math.floor(Date.parse(start) / HOUR_MS)
  if (from >= to) throw new AppError('invalid_argument', 'start must be before end: this span is empty')
  return { from, to }
}

function refuseTooMany(
  { from, to }: { from: number; to: number },
  interval: 'hour' | 'day',
  groups: number,
): void {
  const intervals = Math.ceil((to - from) / (interval === 'day' ? 24 : 1))
  if (intervals <= MOST_INTERVALS && intervals * groups <= MOST_ROWS) return
  const of = groups > 1 ? ` of ${groups} groups` : ''
  throw new AppError(
    'invalid_argument',
    `this span has ${intervals} intervals${of}, more than one answer holds (${MOST_INTERVALS} intervals, ` +
      `${MOST_ROWS} with those of groups); ask for a shorter span${interval === 'hour' ? ', interval=day' : ''} or a lower limit`,
  )
}

function timeOf(hour: number): string {
  return new Date(hour * HOUR_MS).toISOString()
}

function withoutHour(row: UsageRow) {
  const { hour: _hour, ...rest } = row
  return rest
}

function sumOf(rows: readonly UsageRow[]): UsageCounts {
  const sum = (name: Exclude<keyof UsageCounts, 'cost_usd'>) =>
    rows.reduce((total, row) => total + row[name], 0)
  const costs = rows.flatMap(({ cost_usd }) => (cost_usd === null ? [] : [cost_usd]))
  return {
    runs: sum('runs'),
    steps: sum('steps'),
    failed_steps: sum('failed_steps'),
    prompt_tokens: sum('prompt_tokens'),
    completion_tokens: sum('completion_tokens'),
    total_tokens: sum('total_tokens'),
    cached_input_tokens: sum('cached_input_tokens'),
    cache_write_tokens: sum('cache_write_tokens'),
    reasoning_tokens: sum('reasoning_tokens'),
    cost_usd: costs.length === 0 ? null : costs.reduce((total, cost) => total + cost, 0),
    steps_without_cost: sum('steps_without_cost'),
  }
}

import * as z from 'zod'
import { timestamp } from './page.ts'

export const usageGroup = z.enum(['agent', 'user', 'model'])
export type UsageGroup = z.infer<typeof usageGroup>

export const usageInterval = z.enum(['hour', 'day'])
export type UsageInterval = z.infer<typeof usageInterval>

/** What steps used. Failed ones count as steps; what they used is known seldom. */
export const usageCounts = z.object({
  /** Turns, each in the hour of its first step. */
  runs: z.number().int(),
  /** Model calls of turns. */
  steps: z.number().int(),
  failed_steps: z.number().int(),
  prompt_tokens: z.number().int(),
  completion_tokens: z.number().int(),
  total_tokens: z.number().int(),
  /** Part of `prompt_tokens`. */
  cached_input_tokens: z.number().int(),
  /** Part of `prompt_tokens`. */
  cache_write_tokens: z.number().int(),
  /** Part of `completion_tokens`. */
  reasoning_tokens: z.number().int(),
  /** In US dollars, of the steps whose price is known; null when none is. */
  cost_usd: z.number().nullable(),
  /** Steps of which nobody knows what they cost: their provider tells no prices, or no tokens. */
  steps_without_cost: z.number().int(),
})
export type UsageCounts = z.infer<typeof usageCounts>

/** Which steps are meant: those by which `group_by` asks are there. */
const usageKey = z.object({
  agent_id: z.string().optional(),
  user_id: z.string().optional(),
  model: z.string().optional(),
})
export type UsageKey = z.infer<typeof usageKey>

const usageOfGroup = usageKey.extend(usageCounts.shape)

/** Answer of `GET /v1/usage`. */
export const usageReport = z.object({
  /** The span in whole hours of UTC: what was asked for, widened. */
  start: timestamp,
  end: timestamp,
  interval: usageInterval.nullable(),
  group_by: z.array(usageGroup),
  total: usageCounts,
  /** The largest first, by tokens. */
  groups: z.array(usageOfGroup),
  /** Groups beyond `limit`: part of `total`, and shown nowhere. */
  groups_left_out: z.number().int(),
  /** Hours or days of UTC in order; those without use are left out. */
  series: z.array(usageCounts.extend({ start: timestamp, groups: z.array(usageOfGroup).optional() })),
})
export type UsageReport = z.infer<typeof usageReport>

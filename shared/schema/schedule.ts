import * as z from 'zod'
import { agentTimezone } from './agent.ts'
import { idSchema } from './ids.ts'
import { asyncRequest, messageCreate, messageType } from './message.ts'
import { timestamp } from './page.ts'

/** A later instant has no date in ISO 8601 with four digits. */
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z')
/** What is smaller was meant in seconds: as milliseconds it is in 1973. */
const FIRST_MS = 1e11

const oneTime = z.object({
  type: z.literal('one-time').default('one-time'),
  /** Milliseconds since 1970. */
  scheduled_at: z
    .number()
    .min(FIRST_MS, 'expected milliseconds since 1970; this is seconds, or long ago')
    .max(LAST_MS, 'expected milliseconds since 1970, up to the year 9999'),
})
const recurring = z.object({
  type: z.literal('recurring'),
  cron_expression: z.string().min(1).max(1000),
  /** Ours: where the hours of the expression are read; the time zone of the agent by default. */
  timezone: agentTimezone.nullish(),
})

/** When a schedule fires; one without a type is one-time, as in V1. */
const when = z.discriminatedUnion('type', [oneTime, recurring], {
  error: "a schedule has the type 'one-time' with scheduled_at, or 'recurring' with cron_expression",
})
/** When a schedule fires, with the time zone that was settled when it was made. */
export type ScheduleTime =
  | { type: 'one-time'; scheduled_at: number }
  | { type: 'recurring'; cron_expression: string; timezone: string }

/** Body of `POST /v1/agents/{id}/schedule`. */
export const createSchedule = z.object({
  messages: z.array(messageCreate).min(1).max(1000),
  schedule: when,
  max_steps: z.number().int().min(1).nullish(),
  callback_url: asyncRequest.shape.callback_url,
  include_return_message_types: z.array(messageType).nullish(),
})
export type CreateSchedule = z.infer<typeof createSchedule>

/** What is sent to the agent: fields that were not given are absent. */
const scheduledMessage = z.object({
  messages: z.array(messageCreate),
  max_steps: z.number().int().optional(),
  callback_url: z.string().optional(),
  include_return_message_types: z.array(messageType).optional(),
})
export type ScheduledMessage = z.infer<typeof scheduledMessage>

/** How the last firing went (ours). */
const lastRun = z.object({
  /** Null when no run began; `error` says why. */
  run_id: z.string().nullable(),
  /** When it was due, and when it fired. */
  scheduled_at: timestamp,
  fired_at: timestamp,
  /** The run's own; null without one. */
  status: z.string().nullable(),
  stop_reason: z.string().nullable(),
  completed_at: timestamp.nullable(),
  error: z.string().nullable(),
})

/** A schedule as every route answers it. */
export const schedule = z.object({
  id: idSchema('schedule'),
  agent_id: z.string(),
  message: scheduledMessage,
  schedule: z.union([oneTime, recurring.extend({ timezone: z.string() })]),
  /** Null when it never fires again. */
  next_scheduled_time: timestamp.nullable(),
  last_run: lastRun.nullable(),
})
export type Schedule = Omit<z.infer<typeof schedule>, 'schedule'> & { schedule: ScheduleTime }

/** Answer of `POST /v1/agents/{id}/schedule`. */
export const createdSchedule = z.object({ id: idSchema('schedule'), next_scheduled_at: timestamp })

/** Answer of `GET /v1/agents/{id}/schedule`. */
export const scheduleList = z.object({
  scheduled_messages: z.array(schedule),
  has_next_page: z.boolean(),
})

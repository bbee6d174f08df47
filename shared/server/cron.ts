import { Cron } from 'croner'
import { AppError, messageOf } from '../schema/errors.ts'
import type { ScheduleTime } from '../schema/schedule.ts'

/** How long a one-time schedule may have been due when it is made: its request took a while, or a clock is behind. */
const LATE_MS = 60_000

/** When a schedule fires after this instant; null: never again. */
export function nextTime(schedule: ScheduleTime, after: Date): Date | null {
  if (schedule.type === 'one-time')
    return schedule.scheduled_at > after.getTime() ? new Date(schedule.scheduled_at) : null
  return cronOf(schedule.cron_expression, schedule.timezone).nextRun(after)
}

/**
 * When a schedule fires first that is made now. Throws `validation` for what is no cron expression, for one that never
 * fires, and for a time that has passed.
 */
export function firstTime(schedule: ScheduleTime, now: Date): Date {
  if (schedule.type === 'one-time') {
    const first = new Date(schedule.scheduled_at)
    if (first.getTime() >= now.getTime() - LATE_MS) return first
    throw new AppError(
      'validation',
      `body.schedule.scheduled_at: ${first.toISOString()} has passed; give a time to come, or at most a minute ago, in milliseconds since 1970`,
    )
  }
  const first = nextTime(schedule, now)
  if (first) return first
  throw new AppError(
    'validation',
    `body.schedule.cron_expression: '${schedule.cron_expression}' never fires: no day is in all of its fields`,
  )
}

/** The fields in their order, and what may be in each beside `*`, lists, ranges and steps. */
const FIELDS = [
  ['minute', '0 to 59'],
  ['hour', '0 to 23'],
  ['day of the month', '1 to 31, or L for the last'],
  ['month', '1 to 12, or JAN to DEC'],
  ['day of the week', '0 to 7 (both Sunday), or SUN to SAT'],
] as const

function cronOf(expression: string, timezone: string): Cron {
  const fields = expression.trim().split(/\s+/)
  try {
    // `@daily` and the like stand for five.
    if (fields.length === 5 || fields[0]?.startsWith('@'))
      return new Cron(fields.join(' '), { timezone, mode: '5-part' })
  } catch (error) {
    throw noCron(expression, whyNot(fields) ?? messageOf(error).replace(/^CronPattern: /, ''), error)
  }
  throw noCron(expression, expression.trim() === '' ? 'it is empty' : `it has ${fields.length}`)
}

/** The library counts days and months from 0, and speaks of more fields than there are here. Null: the fields are right. */
function whyNot(fields: readonly string[]): string | null {
  if (fields[0]?.startsWith('@')) return 'of names there are @hourly, @daily, @weekly, @monthly and @yearly'
  const at = fields.findIndex((field, i) => !isRead(FIELDS.map((_, j) => (i === j ? field : '*')).join(' ')))
  const wrong = FIELDS[at]
  return wrong
    ? `its ${wrong[0]} is '${fields[at]}'; what it takes is ${wrong[1]}, and *, lists, ranges and steps`
    : null
}

function isRead(expression: string): boolean {
  try {
    return new Cron(expression, { mode: '5-part' }).getPattern() !== undefined
  } catch {
    return false
  }
}

function noCron(expression: string, reason: string, cause?: unknown): AppError {
  return new AppError(
    'validation',
    `body.schedule.cron_expression: '${expression}' is no cron expression of five fields (minute, hour, day, month, ` +
      `weekday): ${reason}`,
    { cause },
  )
}

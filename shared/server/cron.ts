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
      `body.schedule.scheduled_at: ${first.toISOString()} has passed; give a time to come, in milliseconds since 1970`,
    )
  }
  const first = nextTime(schedule, now)
  if (first) return first
  throw new AppError(
    'validation',
    `body.schedule.cron_expression: '${schedule.cron_expression}' never fires: no day is in all of its fields`,
  )
}

function cronOf(expression: string, timezone: string): Cron {
  try {
    return new Cron(expression.trim(), { timezone, mode: '5-part' })
  } catch (error) {
    const reason = messageOf(error).replace(/^CronPattern: /, '')
    throw new AppError(
      'validation',
      `body.schedule.cron_expression: '${expression}' is no cron expression of five fields (minute, hour, day, month, ` +
        `weekday): ${reason}`,
      { cause: error },
    )
  }
}

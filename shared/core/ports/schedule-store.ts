import type { Page } from '../../schema/page.ts'
import type { Schedule, ScheduledMessage, ScheduleTime } from '../../schema/schedule.ts'
import type { Actor } from './actor.ts'

/** A schedule before its first save. */
export interface NewSchedule {
  id: string
  agent_id: string
  created_at: string
  message: ScheduledMessage
  schedule: ScheduleTime
  /** When it fires first, in UTC to the millisecond. */
  next_at: string
}

/** A schedule whose time has come. */
export interface DueSchedule {
  id: string
  schedule: ScheduleTime
  /** When it was due. */
  due_at: string
}

/** A schedule that fires: this process alone sees to it. */
export interface Firing {
  id: string
  agent_id: string
  /** Who made the schedule: the turn is theirs. */
  actor: Actor
  message: ScheduledMessage
  due_at: string
}

/**
 * Messages that are sent to agents at times to come. A schedule goes with its agent. Firing is a lease: `claim` takes
 * it, `fired` ends it, and that of a process which is gone is taken over by whoever looks first.
 */
export interface ScheduleStore {
  /** Throws `not_found` for an agent that is not there. */
  create(actor: Actor, schedule: NewSchedule): Promise<Schedule>
  get(actor: Actor, agent_id: string, schedule_id: string): Promise<Schedule | null>
  /** In order of creation. Throws `not_found` for an unknown cursor. */
  list(actor: Actor, agent_id: string, page: Page): Promise<Schedule[]>
  /** Ends a firing that waits, too; a run that has begun goes on. */
  delete(actor: Actor, agent_id: string, schedule_id: string): Promise<boolean>
  /** The schedules of all organisations that are due at this time and do not fire yet, the longest due first. */
  due(now: Date): Promise<DueSchedule[]>
  /**
   * Takes the firing that is due and sets the next time, in one transaction; null: never again. False when somebody else
   * has taken it, or it was deleted.
   */
  claim(schedule_id: string, due_at: string, next_at: string | null): Promise<boolean>
  /** What this process has claimed and not fired yet, with what it takes over from processes that are gone. */
  firings(): Promise<Firing[]>
  /** Keeps how a firing of this process went, and ends it. Nothing happens when the schedule was deleted meanwhile. */
  fired(
    firing: Pick<Firing, 'id' | 'due_at'>,
    outcome: { fired_at: string; run_id: string | null; error: string | null },
  ): Promise<void>
}

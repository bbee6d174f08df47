import { filterEach, flatMapEach } from '../each.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { DueSchedule, Firing, NewSchedule, ScheduleStore } from '../../core/ports/schedule-store.ts'
import { agentNotFound } from '../../schema/errors.ts'
import type { Page } from '../../schema/page.ts'
import type { Schedule, ScheduledMessage, ScheduleTime } from '../../schema/schedule.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Database } from './database.ts'
import type { Instance } from './instances.ts'
import { windowOf } from './page.ts'
import { query, db } from './query.ts'
import type { ScheduleRow } from './tables.ts'
import { CLAIMS, unlessTaken } from './unless-taken.ts'

/** Schedules that one look takes. */
const AT_ONCE = 100
/** Firings of one process that one look sees: those that wait for their conversation are among them. */
const MOST_FIRINGS = 1_000

/** What a schedule's row holds as JSON. */
interface ScheduleData {
  message: ScheduledMessage
  schedule: ScheduleTime
}

const dueNow = query<{ now: string }>()((p) =>
  db
    .selectFrom('schedules')
    .select(['id', 'data', 'next_at'])
    .where('next_at', 'is not', null)
    .where('firing_at', 'is', null)
    .where('next_at', '<=', p.now)
    .orderBy('next_at')
    .limit(AT_ONCE),
)
const claimed = query<{ id: string; due: string; next: string | null; instance: string }>()((p) =>
  db
    .updateTable('schedules')
    .set({ next_at: p.next, firing_at: p.due, instance_id: p.instance })
    .where(
      'id',
      '=',
      db
        .selectFrom('schedules')
        .select('id')
        .where('id', '=', p.id)
        .where('next_at', '=', p.due)
        .where('firing_at', 'is', null)
        .modifyEnd(unlessTaken),
    ),
)
const holders = query()(() =>
  db.selectFrom('schedules').select('instance_id').distinct().where('firing_at', 'is not', null),
)
const firingOfHolder = query<{ holder: string }>()((p) =>
  db
    .selectFrom('schedules')
    .selectAll()
    .where('firing_at', 'is not', null)
    .where('instance_id', '=', p.holder)
    .limit(MOST_FIRINGS),
)
const takenOver = query<{ id: string; holder: string; instance: string }>()((p) =>
  db
    .updateTable('schedules')
    .set({ instance_id: p.instance })
    .where(
      'id',
      '=',
      db
        .selectFrom('schedules')
        .select('id')
        .where('id', '=', p.id)
        .where('instance_id', '=', p.holder)
        .where('firing_at', 'is not', null)
        .modifyEnd(unlessTaken),
    ),
)

/** Schedules and their firings. */
export class SqlSchedules implements ScheduleStore {
  readonly #database: Database
  readonly #instance: Instance
  /** Schedules whose firings this process has: its heart beats while there are any. */
  #firing: readonly string[] = []

  constructor(database: Database, instance: Instance) {
    this.#database = database
    this.#instance = instance
  }

  create(actor: Actor, made: NewSchedule): Promise<Schedule> {
    const { id, agent_id, created_at, next_at, message, schedule } = made
    const data: ScheduleData = { message, schedule }
    return this.#database.write(async (tx) => {
      if (!(await readAgentRow(tx, actor, agent_id))) throw agentNotFound()
      await tx.send(
        db.insertInto('schedules').values({
          id,
          organization_id: actor.organization_id,
          user_id: actor.user_id,
          agent_id,
          created_at,
          next_at,
          firing_at: null,
          instance_id: null,
          last_due_at: null,
          last_fired_at: null,
          last_run_id: null,
          last_error: null,
          data: JSON.stringify(data),
        }),
      )
      return { id, agent_id, ...data, next_scheduled_time: next_at, last_run: null }
    })
  }

  get(actor: Actor, agent_id: string, schedule_id: string): Promise<Schedule | null> {
    return this.#database.read(async (c) => {
      const row = await c.get(withRuns(actor, agent_id).where('schedules.id', '=', schedule_id))
      return row ? scheduleOf(row) : null
    })
  }

  list(actor: Actor, agent_id: string, page: Page): Promise<Schedule[]> {
    return this.#database.read(async (c) => {
      const sorting = { table: 'schedules', column: 'created_at' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = withRuns(actor, agent_id)
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = (await c.all(rows.orderBy(window.direction).limit(page.limit))).map(scheduleOf)
      return window.turned ? found.toReversed() : found
    })
  }

  delete(actor: Actor, agent_id: string, schedule_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => {
      const deleted = await tx.run(
        db
          .deleteFrom('schedules')
          .where('id', '=', schedule_id)
          .where('agent_id', '=', agent_id)
          .where('organization_id', '=', actor.organization_id),
      )
      return deleted > 0
    })
  }

  due(now: Date): Promise<DueSchedule[]> {
    return this.#database.read(async (c) =>
      (await dueNow.all(c, { now: now.toISOString() })).flatMap(({ id, data, next_at }) => {
        const { schedule } = JSON.parse(data) as ScheduleData
        return next_at === null ? [] : [{ id, schedule, due_at: next_at }]
      }),
    )
  }

  claim(schedule_id: string, due_at: string, next_at: string | null): Promise<boolean> {
    return this.#database.write(async (tx) => {
      await this.#instance.lock()
      await this.#instance.register(tx)
      const key = { id: schedule_id, due: due_at, next: next_at, instance: this.#instance.id }
      return (await claimed.run(tx, key)).changes > 0
    }, CLAIMS)
  }

  async firings(): Promise<Firing[]> {
    const { own, left } = await this.#database.read(async (c) => {
      const own = await firingOfHolder.all(c, { holder: this.#instance.id })
      const left = await flatMapEach(await holders.all(c, {}), async ({ instance_id: holder }) => {
        // One that stands still, too: should it wake, its messages have the ids that begin no second run.
        if (holder === null || (await this.#instance.stateOf(c, holder)) === 'alive') return []
        return await firingOfHolder.all(c, { holder })
      })
      return { own, left }
    })
    if (left.length === 0) return this.#held(own)
    const taken = await this.#database.write(async (tx) => {
      await this.#instance.lock()
      await this.#instance.register(tx)
      return await filterEach(left, async ({ id, instance_id }) => {
        const key = { id, holder: instance_id ?? '', instance: this.#instance.id }
        return (await takenOver.run(tx, key)).changes > 0
      })
    }, CLAIMS)
    return this.#held([...own, ...taken])
  }

  #held(rows: readonly ScheduleRow[]): Firing[] {
    const ids = rows.map(({ id }) => id)
    for (const id of ids) this.#instance.leaseTaken(id)
    for (const id of this.#firing) if (!ids.includes(id)) this.#instance.leaseReleased(id)
    this.#firing = ids
    return rows.map(firingOf)
  }

  fired(
    { id, due_at }: Pick<Firing, 'id' | 'due_at'>,
    outcome: { fired_at: string; run_id: string | null; error: string | null },
  ): Promise<void> {
    return this.#database.write(async (tx) => {
      await tx.send(
        db
          .updateTable('schedules')
          .set({
            firing_at: null,
            instance_id: null,
            last_due_at: due_at,
            last_fired_at: outcome.fired_at,
            last_run_id: outcome.run_id,
            last_error: outcome.error,
          })
          .where('id', '=', id)
          .where('firing_at', '=', due_at)
          .where('instance_id', '=', this.#instance.id),
      )
    })
  }
}

/** The schedules of an agent, each with the run that it began last. */
function withRuns(actor: Actor, agent_id: string) {
  return db
    .selectFrom('schedules')
    .leftJoin('runs', 'runs.id', 'schedules.last_run_id')
    .selectAll('schedules')
    .select(['runs.status', 'runs.stop_reason', 'runs.completed_at'])
    .where('schedules.organization_id', '=', actor.organization_id)
    .where('schedules.agent_id', '=', agent_id)
}

type RowWithRun = ScheduleRow & {
  status: string | null
  stop_reason: string | null
  completed_at: string | null
}

function scheduleOf(row: RowWithRun): Schedule {
  const { id, agent_id, last_due_at, last_fired_at, status, stop_reason, completed_at } = row
  const last_run =
    last_due_at === null || last_fired_at === null
      ? null
      : {
          run_id: row.last_run_id,
          scheduled_at: last_due_at,
          fired_at: last_fired_at,
          status,
          stop_reason,
          completed_at,
          error: row.last_error,
        }
  const data = JSON.parse(row.data) as ScheduleData
  return { id, agent_id, ...data, next_scheduled_time: row.firing_at ?? row.next_at, last_run }
}

function firingOf(row: ScheduleRow): Firing {
  const { id, agent_id, user_id, organization_id } = row
  const { message } = JSON.parse(row.data) as ScheduleData
  return { id, agent_id, actor: { user_id, organization_id }, message, due_at: row.firing_at ?? '' }
}

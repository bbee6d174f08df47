import type { Firing } from '../core/ports/schedule-store.ts'
import { isAppError } from '../schema/errors.ts'
import { asyncRequest } from '../schema/message.ts'
import type { ScheduleTime } from '../schema/schedule.ts'
import type { ServerContext } from './context.ts'
import { nextTime } from './cron.ts'
import { startTurn } from './turn-response.ts'

/** Turns that begin at a time. */
const AT_ONCE = 8

/**
 * Fires the schedules that are due, of which each firing is taken by one process, and those that wait for their
 * conversation or that a process left behind which is gone. What was missed while no process ran fires once. Throws what
 * the store says.
 */
export async function fireSchedules(context: ServerContext): Promise<void> {
  const { clock, store } = context.deps
  const now = clock.now()
  for (const { id, due_at, schedule } of await store.schedules.due(now))
    await store.schedules.claim(id, due_at, nextOf(context, id, schedule, now))
  const firings = await store.schedules.firings()
  for (let i = 0; i < firings.length; i += AT_ONCE)
    await Promise.all(firings.slice(i, i + AT_ONCE).map((firing) => fire(context, firing)))
}

function nextOf(context: ServerContext, id: string, schedule: ScheduleTime, now: Date): string | null {
  try {
    return nextTime(schedule, now)?.toISOString() ?? null
  } catch (error) {
    // It was read when it was made: this machine may know other time zones now.
    context.onFailure(`the next time of schedule ${id}`, error)
    return null
  }
}

/** Begins the run of a firing, unless its conversation is busy: then it waits. */
async function fire(context: ServerContext, firing: Firing): Promise<void> {
  const outcome = await begin(context, firing)
  if (!outcome) return
  const fired_at = context.deps.clock.now().toISOString()
  await context.deps.store.schedules.fired(firing, { fired_at, ...outcome })
}

async function begin(
  context: ServerContext,
  { id, agent_id, actor, message, due_at }: Firing,
): Promise<{ run_id: string | null; error: string | null } | null> {
  try {
    // Ids of the firing's own: whoever takes it over does not send its messages a second time.
    const messages = message.messages.map((one, i) => ({ ...one, otid: `${id}:${due_at}:${i}` }))
    const run = await startTurn({
      actor,
      context,
      request: new Request('http://localhost/'),
      agent_id,
      conversation_id: agent_id,
      body: asyncRequest.parse({ ...message, messages }),
    })
    return { run_id: run.id, error: null }
  } catch (error) {
    if (isAppError(error, 'conversation_busy') || isAppError(error, 'store_unavailable')) return null
    if (isAppError(error)) return { run_id: null, error: error.message }
    context.onFailure(`firing schedule ${id}`, error)
    return { run_id: null, error: "The run could not begin; the server's log has the details." }
  }
}

import { denyPending } from '../core/turn/approvals.ts'
import type { Actor } from '../core/ports/actor.ts'
import { AppError } from '../schema/errors.ts'
import type { Run } from '../schema/run.ts'
import type { ServerContext } from './context.ts'
import { notFound } from './errors.ts'

/** How long a turn of another process has to end by itself once it was asked to, and how often it is looked at. */
const WAIT_MS = 3_000
const LOOK_MS = 50

/**
 * Cancels turns of an agent wherever they run: those named, or the ones that run in `conversation_id`, or with `all` in
 * any of its conversations. Answers what became of each. Where none runs, the calls that wait for an approval are denied.
 * Throws `conflict` when there is nothing to cancel.
 */
export async function cancelRuns(
  context: ServerContext,
  actor: Actor,
  target: { agent_id: string; conversation_id: string; run_ids: readonly string[] | null; all?: boolean },
): Promise<Record<string, 'cancelled' | 'failed'>> {
  const { agent_id, conversation_id } = target
  const { turns } = context.deps.store
  const named = target.run_ids
    ? await Promise.all(target.run_ids.map((id) => turns.getRun(actor, id)))
    : await turns.listRuns(
        actor,
        { agent_id, ...(target.all ? {} : { conversation_id }), statuses: ['created', 'running'] },
        { limit: 1000, order: 'desc' },
      )
  const runs = named.filter((run) => run !== null).filter((run) => run.agent_id === agent_id)
  if (!runs.some(isActive)) {
    // What waits for an approval runs no more, but is what there is to cancel (reference 6.5).
    const { conversations } = context.deps.store
    const waiting = target.all ? await conversations.waiting(actor, agent_id) : [conversation_id]
    const denied: Record<string, 'cancelled'> = {}
    for (const conversation_id of waiting) {
      const asked = await denyPending(context.deps, actor, { ...target, conversation_id })
      if (asked !== null) denied[asked] = 'cancelled'
    }
    if (Object.keys(denied).length > 0) return denied
    throw new AppError(
      'conflict',
      target.run_ids
        ? `none of these runs of agent ${agent_id} is running`
        : `agent ${agent_id} has no turn that could be cancelled: none is running`,
    )
  }
  const results = runs.map(async (run) => [run.id, await cancelRun(context, actor, run)] as const)
  return Object.fromEntries(await Promise.all(results))
}

/**
 * Ends what of a batch has not begun, and cancels what runs, wherever it does. Throws `not_found`, and `conflict` when it
 * has ended.
 */
export async function cancelBatch(context: ServerContext, actor: Actor, batch_id: string): Promise<void> {
  const { batches, turns } = context.deps.store
  const run_ids = await batches.cancel(actor, batch_id)
  if (!run_ids) throw notFound('Batch', batch_id)
  const cancelled = run_ids.map(async (id) => {
    const run = await turns.getRun(actor, id)
    if (run) await cancelRun(context, actor, run)
  })
  await Promise.all(cancelled)
  context.batches.wake()
}

/**
 * Cancels one run, wherever it runs, and waits for its end; one that has ended stays as it is. A process that does not
 * obey loses it.
 */
export async function cancelRun(
  context: ServerContext,
  actor: Actor,
  run: Run,
): Promise<'cancelled' | 'failed'> {
  if (!isActive(run)) return run.status === 'cancelled' ? 'cancelled' : 'failed'
  const here = context.runs.get(run.id)
  if (here) {
    here.cancel()
    return (await here.done).status === 'cancelled' ? 'cancelled' : 'failed'
  }
  const { turns } = context.deps.store
  await turns.requestCancel(actor, run.id)
  for (const end = performance.now() + WAIT_MS; performance.now() < end;) {
    const now = await turns.getRun(actor, run.id)
    if (!now || !isActive(now)) return now?.status === 'cancelled' ? 'cancelled' : 'failed'
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  if (await turns.cancelUnheard(actor, run.id)) return 'cancelled'
  return (await turns.getRun(actor, run.id))?.status === 'cancelled' ? 'cancelled' : 'failed'
}

function isActive(run: Run): boolean {
  return run.status === 'created' || run.status === 'running'
}

import type { LociClient } from '../../shared/client/http.ts'
import type { Event as Change } from '../../shared/schema/event.ts'

/** What an agent is at: working, waiting for someone to approve a tool call, or stopped by a failure. */
export type Activity = 'running' | 'approval' | 'error'

/** What of a run says how its agent does. */
export interface RunOutcome {
  conversation_id?: string | null
  status?: string | null
  stop_reason?: string | null
}

/** Agents with anything to tell; one that is idle is not in it. */
export interface Activities {
  readonly map: ReadonlyMap<string, Activity>
  /** Reads the newest runs of all agents. */
  load(letta: LociClient['letta']): Promise<void>
  /** Reads the runs that these changes concern. */
  apply(changes: readonly Change[], letta: LociClient['letta']): Promise<void>
  clear(): void
}

/** Runs read for each agent: as many conversations as it may have going at once. */
const RECENT = 20
/** Runs read at first, over all agents. */
const FIRST = 200
const WAITING = 50

/** Nothing is known at first. */
export function createActivities(): Activities {
  const map = new Map<string, Activity>()
  const put = (agent_id: string, activity: Activity | null) => {
    if (activity === null) map.delete(agent_id)
    else map.set(agent_id, activity)
  }
  return {
    map,
    async load(letta) {
      const pages = await Promise.all([
        letta.runs.list({ limit: FIRST, order: 'desc' }),
        // What waits may do so for weeks.
        letta.runs.list({ stop_reason: 'requires_approval', limit: WAITING, order: 'desc' }),
      ])
      const runs = Map.groupBy(
        pages.flatMap((page) => page.getPaginatedItems()),
        (run) => run.agent_id,
      )
      map.clear()
      await Promise.all(
        [...runs].map(async ([agent_id, theirs]) =>
          put(agent_id, activityOf(await withoutAnswered(letta, agent_id, theirs))),
        ),
      )
    },
    async apply(changes, letta) {
      const agents = new Set<string>()
      const deleted = new Set<string>()
      for (const { type, agent_id } of changes) {
        if (agent_id === null) continue
        // An answer to what waited may come without a run: a denial only adds messages.
        if (type.startsWith('run.') || map.get(agent_id) === 'approval') agents.add(agent_id)
        if (type === 'agent.deleted') deleted.add(agent_id)
      }
      await Promise.all(
        [...agents].map(async (agent_id) => {
          if (deleted.has(agent_id)) return put(agent_id, null)
          const page = await letta.runs.list({ agent_id, limit: RECENT, order: 'desc' })
          put(agent_id, activityOf(await withoutAnswered(letta, agent_id, page.getPaginatedItems())))
        }),
      )
    },
    clear: () => map.clear(),
  }
}

/** What the runs of one agent, newest first, say; the newest of each conversation counts. Null: it is idle. */
export function activityOf(runs: readonly RunOutcome[]): Activity | null {
  const states = newestOf(runs).map(stateOf)
  return (['running', 'approval', 'error'] as const).find((state) => states.includes(state)) ?? null
}

function newestOf(runs: readonly RunOutcome[]): RunOutcome[] {
  const newest = new Map<string | null, RunOutcome>()
  for (const run of runs) {
    const conversation = run.conversation_id ?? null
    if (!newest.has(conversation)) newest.set(conversation, run)
  }
  return [...newest.values()]
}

/** The newest runs, without those that ended waiting for an approval which has been answered since. */
async function withoutAnswered(
  letta: LociClient['letta'],
  agent_id: string,
  runs: readonly RunOutcome[],
): Promise<RunOutcome[]> {
  const kept = await Promise.all(
    newestOf(runs).map(async (run) => {
      if (stateOf(run) !== 'approval') return [run]
      return (await isWaiting(letta, agent_id, run.conversation_id ?? null)) ? [run] : []
    }),
  )
  return kept.flat()
}

async function isWaiting(
  letta: LociClient['letta'],
  agent_id: string,
  conversation_id: string | null,
): Promise<boolean> {
  try {
    if (conversation_id === null) {
      const agent = await letta.agents.retrieve(agent_id, { include: ['agent.pending_approval'] })
      return (agent.pending_approval ?? null) !== null
    }
    // Ours, and so not in the client's types.
    const conversation = (await letta.conversations.retrieve(conversation_id)) as {
      pending_request_id?: string | null
    }
    return (conversation.pending_request_id ?? null) !== null
  } catch (error) {
    // It has been deleted meanwhile.
    if ((error as { status?: unknown }).status === 404) return false
    throw error
  }
}

function stateOf({ status, stop_reason }: RunOutcome): Activity | null {
  if (status === 'created' || status === 'running') return 'running'
  if (stop_reason === 'requires_approval') return 'approval'
  return status === 'failed' ? 'error' : null
}

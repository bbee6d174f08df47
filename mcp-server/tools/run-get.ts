import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import type { Run } from '../letta.ts'
import { defineTool, READS, type ToolCall } from '../tool.ts'
import { replyOf, turnResult, type TurnStatus } from '../turn/reply.ts'
import { aborted, HEARTBEAT, LONGEST_WAIT } from '../turn/send.ts'
import { addPart, newTurn } from '../turn/turn.ts'

/** How often a run is looked at while a call waits for it, in milliseconds: at first, and when it takes longer. */
const LOOK_MS = 200
const LOOK_LATER_MS = 1000
/** Parts of a turn that are read; what is longer is read in its conversation. */
const PARTS = 500

export const runGet = defineTool({
  name: 'run_get',
  title: 'Look at a run',
  description: 'A turn of an agent that agent_send_message began: its reply, or how far it is.',
  about: 'run',
  input: {
    run_id: z.string().min(1),
    wait_seconds: z.int().min(0).max(LONGEST_WAIT).default(30).describe('Wait this long for its end'),
    detail: z.enum(['concise', 'full']).default('concise'),
  },
  output: turnResult,
  annotations: READS,
  async run({ run_id, wait_seconds, detail }, call) {
    const { client, signal } = call
    const found = await findRun(call, run_id)
    const run = isActive(found) ? await call.aside(() => untilEnded(call, found, wait_seconds)) : found
    const [page, agent] = await Promise.all([
      client.letta.runs.messages.list(run.id, { limit: PARTS, order: 'asc' }, { signal }),
      client.findAgent(run.agent_id, { signal }),
    ])
    const turn = newTurn(run.id)
    for (const message of page.items) addPart(turn, message)
    turn.run_id = run.id
    turn.stop_reason = run.stop_reason ?? null
    const status = statusOf(run)
    if (status !== 'waiting_for_approval') turn.pending = []
    const options = {
      name: agent.name,
      conversation_id: run.conversation_id ?? null,
      pinned: call.settings.agent !== null,
    }
    const note = noteOf(run, status, agent.name)
    const answer = replyOf(turn, { ...options, status, full: detail === 'full', note })
    return { ...answer, failed: status === 'failed' }
  },
})

/** The run of that id, of the pinned agent where there is one. Throws `not_found` with the newest there are. */
export async function findRun(call: ToolCall, run_id: string): Promise<Run> {
  const { client, signal } = call
  const pinned = await call.pinned()
  try {
    const run = await client.letta.runs.retrieve(run_id, { signal })
    if (pinned === null || run.agent_id === pinned) return run
  } catch (error) {
    const { refusalOf } = await import('../../shared/client/http.ts')
    const status = refusalOf(error)?.status
    if (status !== 404 && status !== 422) throw error
  }
  const query = { limit: 5, order: 'desc' as const, ...(pinned === null ? {} : { agent_id: pinned }) }
  const { items } = await client.letta.runs.list(query, { signal })
  const hint = didYouMean(
    run_id,
    items.map(({ id }) => id),
    'There are no runs yet: agent_send_message begins one.',
  )
  throw new AppError('not_found', `There is no run '${run_id}'. ${hint}`)
}

async function untilEnded(call: ToolCall, first: Run, wait_seconds: number): Promise<Run> {
  const { client, progress, signal } = call
  const end = performance.now() + wait_seconds * 1000
  let run = first
  let told = performance.now()
  let pause_ms = LOOK_MS
  while (isActive(run) && performance.now() < end && !signal.aborted) {
    const pause = AbortSignal.any([signal, AbortSignal.timeout(Math.min(pause_ms, end - performance.now()))])
    await aborted(pause)
    pause_ms = Math.min(LOOK_LATER_MS, pause_ms * 1.2)
    if (signal.aborted) break
    if (performance.now() - told > HEARTBEAT) {
      told = performance.now()
      progress('It is still working')
    }
    run = await client.letta.runs.retrieve(run.id, { signal })
  }
  return run
}

export function isActive(run: Run): boolean {
  return run.status === 'created' || run.status === 'running'
}

function statusOf(run: Run): TurnStatus {
  if (isActive(run)) return 'running'
  if (run.status === 'failed' || run.status === 'cancelled') return run.status
  return run.stop_reason === 'requires_approval' ? 'waiting_for_approval' : 'completed'
}

function noteOf(run: Run, status: TurnStatus, name: string): string | undefined {
  if (status === 'running') return `${name} is still working. Call run_get again, or run_cancel to stop it.`
  if (status === 'cancelled') return '[The turn was cancelled.]'
  if (status !== 'failed') return undefined
  const error = run.metadata?.['error']
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : error
  return `[The turn failed: ${typeof message === 'string' ? message : 'nobody knows why'}]`
}

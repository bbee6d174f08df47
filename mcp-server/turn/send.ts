import type { LociClient, TurnItem } from '../../shared/client/http.ts'
import { AppError, messageOf } from '../../shared/schema/errors.ts'
import type { AgentState, Input } from '../letta.ts'
import type { ToolCall } from '../tool.ts'
import { addPart, newTurn, type Turn } from './turn.ts'

/** Hosts give up on a call after 60 s: an answer that says "still running" must be there before. In seconds. */
export const LONGEST_WAIT = 45
/** A host that extends its time limit on progress hears from us this often. In milliseconds. */
export const HEARTBEAT = 5_000

/** How long a turn that is cancelled may take to say which run it is. In milliseconds. */
const RUN_MS = 5_000

/** Where a message goes. */
export interface Target {
  agent: AgentState
  /** Null for the agent's main conversation. */
  conversation_id: string | null
}

export interface Sent {
  turn: Turn
  /** `running`: the time was up, or the host has gone; the turn goes on. */
  ended: 'ended' | 'running' | 'cancelled'
}

/**
 * Sends messages and waits for the turn they begin, at most `wait_seconds`. The turn belongs to the agent, not to the
 * call: it goes on when the time is up or the host leaves, and is stopped when the host cancels.
 */
export function sendAndWait(
  call: ToolCall,
  target: Target,
  messages: Input[],
  wait_seconds: number,
): Promise<Sent> {
  return call.aside(() => send(call, target, messages, wait_seconds))
}

async function send(call: ToolCall, target: Target, messages: Input[], wait_seconds: number): Promise<Sent> {
  const { client, log, progress, signal } = call
  const { name } = target.agent
  signal.throwIfAborted()
  const timeUp = AbortSignal.timeout(wait_seconds * 1000)
  const turn = newTurn()
  const stream = new AbortController()
  progress(`Sent to ${name}`)
  const heartbeat = setInterval(() => progress(`${name} is working`), HEARTBEAT)
  const begun = Promise.withResolvers<void>()
  const reading = readTurn(call, target, messages, turn, { signal: stream.signal, begun: begun.resolve })
  call.finish(reading)
  try {
    const done = await Promise.race([reading.then(() => true), aborted(signal), aborted(timeUp)])
    if (done) return { turn, ended: 'ended' }
    reading.catch((error: unknown) => {
      if (!stream.signal.aborted) log(`${name}: ${messageOf(error)}`)
    })
    if (!signal.aborted || call.hostIsGone()) {
      turn.run_id ??= await activeRun(client, target)
      return { turn, ended: 'running' }
    }
    // Only what this call has begun is cancelled: who else talks to the agent is none of its business.
    const settled = reading.then(begun.resolve, begun.resolve)
    await Promise.race([begun.promise, settled, aborted(AbortSignal.timeout(RUN_MS))])
    stream.abort()
    await cancelTurn(target.agent, turn, call)
    return { turn, ended: 'cancelled' }
  } finally {
    clearInterval(heartbeat)
  }
}

async function readTurn(
  call: ToolCall,
  target: Target,
  messages: Input[],
  turn: Turn,
  { signal, begun }: { signal: AbortSignal; begun: () => void },
): Promise<void> {
  const items = await begin(call.client, target, messages, signal)
  for await (const item of items) {
    const news = addPart(turn, item)
    if (turn.run_id !== null) begun()
    if (news !== null) call.progress(`${target.agent.name} ${news}`)
  }
}

/** In the background where the server can: then the turn survives the process that runs it. */
async function begin(
  client: LociClient,
  target: Target,
  messages: Input[],
  signal: AbortSignal,
): Promise<AsyncIterable<TurnItem>> {
  const { agent, conversation_id } = target
  const send = (background: boolean) => {
    const body = { messages, streaming: true as const, background, include_pings: true }
    const options = { signal, maxRetries: 0 }
    return conversation_id === null
      ? client.letta.agents.messages.create(agent.id, body, options)
      : client.letta.conversations.messages.create(conversation_id, body, options)
  }
  try {
    return await send(true)
  } catch (error) {
    const { refusalOf } = await import('../../shared/client/http.ts')
    const refusal = refusalOf(error)
    // A Letta V1 server without Redis has no background runs (reference 6.4).
    if (refusal?.status === 503 && /redis/i.test(JSON.stringify(refusal.body))) return send(false)
    if (refusal?.status === 409) throw inTheWay(target, refusal.body, error)
    throw error
  }
}

/** What to do about a turn that runs, or a call that waits, where a message was to go. */
function inTheWay(target: Target, body: Record<string, unknown>, cause: unknown): unknown {
  const { name } = target.agent
  const { run_id, detail } = body
  if (typeof detail === 'object' && detail !== null && 'code' in detail && detail.code === 'PENDING_APPROVAL')
    return new AppError(
      'pending_approval',
      `${name} waits for an approval, and your message was not sent. Call agent_send_message with approval ` +
        `(and without message) first; agent_get shows what waits.`,
      { cause },
    )
  if (typeof run_id !== 'string') return cause
  return new AppError(
    'conversation_busy',
    `${name} is busy with another turn, ${run_id}, and your message was not sent. Wait for it with run_get, stop it ` +
      `with run_cancel, or send the message to another conversation ("new" starts one).`,
    { cause },
  )
}

/** The run that has just begun, when its stream has not told yet. */
async function activeRun(client: LociClient, { agent, conversation_id }: Target): Promise<string | null> {
  try {
    const page = await client.letta.runs.list(
      { agent_id: agent.id, active: true, limit: 10 },
      { maxRetries: 0 },
    )
    const runs = page.items.filter((run) => (run.conversation_id ?? null) === conversation_id)
    return runs[0]?.id ?? null
  } catch {
    // Only a convenience: the answer then names no run.
    return null
  }
}

/** Cancels a turn of which the run is known, or says in the log that it goes on. */
async function cancelTurn(
  agent: { id: string; name: string },
  turn: Pick<Turn, 'run_id'>,
  { client, log }: Pick<ToolCall, 'client' | 'log'>,
): Promise<void> {
  if (turn.run_id === null) return
  try {
    await client.letta.agents.messages.cancel(agent.id, { run_ids: [turn.run_id] }, { maxRetries: 0 })
  } catch (error) {
    log(`The turn of ${agent.name} could not be cancelled and goes on: ${messageOf(error)}`)
  }
}

/** Resolves, with false, when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false)
    else signal.addEventListener('abort', () => resolve(false), { once: true })
  })
}

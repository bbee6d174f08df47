import * as z from 'zod'
import type { LociClient } from '../../shared/client/http.ts'
import { messageOf } from '../../shared/schema/errors.ts'
import { capped, defineTool, type ToolCall } from '../tool.ts'

/** Hosts give up on a call after 60 s: an answer that says "still running" must be there before. In seconds. */
const LONGEST_WAIT = 45
/** A host that extends its time limit on progress hears from us this often. In milliseconds. */
const HEARTBEAT = 5_000

export const agentSendMessage = defineTool({
  name: 'agent_send_message',
  title: 'Send a message to an agent',
  description:
    'Sends a message to an agent and answers with its reply. The agent remembers earlier conversations and may edit its memory or use its tools. A turn longer than wait_seconds goes on by itself.',
  input: z.strictObject({
    agent: z.string().min(1).describe('Name or id of the agent'),
    message: z.string().min(1).describe('What to tell or ask it'),
    wait_seconds: z
      .int()
      .min(1)
      .max(LONGEST_WAIT)
      .default(LONGEST_WAIT)
      .describe('Seconds to wait for the reply'),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  async run({ agent: nameOrId, message, wait_seconds }, call) {
    const { client, progress, signal } = call
    const timeUp = AbortSignal.timeout(wait_seconds * 1000)
    const agent = await client.findAgent(nameOrId, { signal: AbortSignal.any([signal, timeUp]) })
    signal.throwIfAborted()
    const turn: Turn = { run_id: null, text: new Map(), tools: [], stop_reason: null }
    const stream = new AbortController()
    progress(`Sent to ${agent.name}`)
    const heartbeat = setInterval(() => progress(`${agent.name} is working`), HEARTBEAT)
    const reading = readTurn(client, agent, message, turn, { progress, signal: stream.signal })
    call.finish(reading)
    try {
      const done = await Promise.race([reading.then(() => true), aborted(signal), aborted(timeUp)])
      if (done) return replyOf(agent.name, turn)
      // The turn belongs to the agent, not to this call: nobody waits for it, yet it is read to its end.
      reading.catch((error: unknown) => call.log(`${agent.name}: ${messageOf(error)}`))
      if (signal.aborted && !call.hostIsGone()) {
        stream.abort()
        await cancelTurn(agent, turn, call)
        return `Stopped waiting for ${agent.name}.`
      }
      const run = turn.run_id ? ` (${turn.run_id})` : ''
      return `${agent.name} is still working after ${wait_seconds} s${run}. The turn goes on and will be remembered: look at what it learns with memory_read, or ask again in a while with agent_send_message.`
    } finally {
      clearInterval(heartbeat)
    }
  },
})

/** Resolves, with false, when the signal aborts. */
function aborted(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false)
    else signal.addEventListener('abort', () => resolve(false), { once: true })
  })
}

/** What is known of a turn so far. */
interface Turn {
  run_id: string | null
  /** Text by message id: a message may come in pieces. */
  text: Map<string, string>
  tools: string[]
  stop_reason: string | null
}

async function readTurn(
  client: LociClient,
  agent: { id: string; name: string },
  message: string,
  turn: Turn,
  { progress, signal }: Pick<ToolCall, 'progress' | 'signal'>,
): Promise<void> {
  const items = await client.letta.agents.messages.create(
    agent.id,
    { messages: [{ role: 'user', content: message }], streaming: true, include_pings: true },
    { signal, maxRetries: 0 },
  )
  for await (const item of items) {
    if ('run_id' in item && item.run_id) turn.run_id = item.run_id
    if (item.message_type === 'assistant_message') {
      const { content } = item
      const text = typeof content === 'string' ? content : content.map((part) => part.text).join('')
      turn.text.set(item.id, (turn.text.get(item.id) ?? '') + text)
    } else if (item.message_type === 'tool_call_message') {
      const name = item.tool_call.name ?? 'a tool'
      turn.tools.push(name)
      progress(`${agent.name} uses ${name}`)
    } else if (item.message_type === 'stop_reason') {
      turn.stop_reason = item.stop_reason
    }
  }
}

function replyOf(name: string, turn: Turn): string {
  const parts = [...turn.text.values()].filter((text) => text.trim() !== '')
  if (parts.length === 0) parts.push(`(${name} said nothing.)`)
  if (turn.tools.length > 0) parts.push(`[${name} used ${[...new Set(turn.tools)].join(', ')}]`)
  if (turn.stop_reason === null) parts.push('[The answer broke off.]')
  else if (turn.stop_reason !== 'end_turn') parts.push(`[The turn ended with: ${turn.stop_reason}]`)
  return capped(parts.join('\n\n'), () => 'Ask for the rest, or for less, with agent_send_message.')
}

async function cancelTurn(
  agent: { id: string; name: string },
  turn: Turn,
  { client, log }: ToolCall,
): Promise<void> {
  try {
    await client.letta.agents.messages.cancel(agent.id, turn.run_id ? { run_ids: [turn.run_id] } : {}, {
      maxRetries: 0,
    })
  } catch (error) {
    log(`The turn of ${agent.name} could not be cancelled and goes on: ${messageOf(error)}`)
  }
}

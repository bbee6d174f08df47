import type { Agent } from '../schema/agent.ts'
import { newId } from '../schema/ids.ts'
import type { MessageCreate, StoredMessage } from '../schema/message.ts'
import { SEND_MESSAGE } from '../schema/message-text.ts'
import type { Tool } from '../schema/tool.ts'
import { runsOlderLoop } from './agent-tools.ts'
import { assistantMessage, inputMessage, textOf, toolMessage } from './messages.ts'
import { packText } from './packed-text.ts'

/** What send_message returns (reference 4.1). */
const SENT = 'Sent message successfully.'

type NewAgent = Pick<Agent, 'id' | 'agent_type' | 'timezone' | 'llm_config' | 'message_buffer_autoclear'>

/**
 * The messages that a new agent begins with after its system message (reference 2.2, 3.7). `sequence` is what the
 * request wants; null stands for the default: agents that speak by a tool are shown a call of it, so that they know how
 * it is done, and the others begin with nothing.
 */
export function firstMessages(
  agent: NewAgent,
  tools: readonly Pick<Tool, 'name'>[],
  sequence: readonly MessageCreate[] | null | undefined,
  now: Date,
): StoredMessage[] {
  const speaks = runsOlderLoop(agent.agent_type) && tools.some((tool) => tool.name === SEND_MESSAGE)
  // One that forgets everything with each request would not keep them.
  if (sequence == null) return speaks && !agent.message_buffer_autoclear ? bootMessages(agent, now) : []
  const place = placeOf(agent)
  return sequence.flatMap((input) => {
    const message = inputMessage(input, place, now)
    if (message.role !== 'assistant') return [message]
    return speaks ? said(agent, textOf(message.content), null, now) : [message]
  })
}

function bootMessages(agent: NewAgent, now: Date): StoredMessage[] {
  const login = packText(
    'login',
    { last_login: 'Never (first login)' },
    { date: now, timezone: agent.timezone },
  )
  return [
    ...said(agent, 'I am here and ready.', 'I have just been started. I say that I am there, and wait.', now),
    inputMessage({ role: 'user', content: login }, placeOf(agent), now),
  ]
}

/** A message that the agent sent with its tool, and the tool's return. */
function said(agent: NewAgent, message: string, thought: string | null, now: Date): StoredMessage[] {
  const tool_call_id = newId('tool').replace('tool-', 'call-')
  const call = {
    id: tool_call_id,
    type: 'function' as const,
    function: { name: SEND_MESSAGE, arguments: JSON.stringify({ message }) },
  }
  const place = placeOf(agent)
  return [
    assistantMessage(
      newId('message'),
      thought === null ? [] : [{ type: 'reasoning', is_native: false, reasoning: thought }],
      [call],
      agent.llm_config.model,
      place,
      now,
    ),
    toolMessage([{ tool_call_id, name: SEND_MESSAGE, status: 'success', func_response: SENT }], place, now),
  ]
}

function placeOf(agent: NewAgent) {
  return { agent_id: agent.id, conversation_id: agent.id, run_id: null, step_id: null }
}

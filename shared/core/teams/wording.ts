import type { Agent } from '../../schema/agent.ts'
import { SEND_MESSAGE } from '../../schema/message-text.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { runsOlderLoop } from '../agent-tools.ts'
import { textOf } from '../messages.ts'
import { parseArguments } from '../turn/tool-calls.ts'

type Named = Pick<Agent, 'id' | 'name'>

/** A message as the other agent reads it: who sent it, and how it is answered (reference 4.5). */
export function messageFrom(sender: Named, text: string, { waits }: { waits: boolean }): string {
  const answer = waits
    ? 'It waits for this turn: what you answer here is sent back to it.'
    : 'It does not wait. To answer, send it a message with send_message_to_agent_async; what you say here does not ' +
      'reach it.'
  return `[Message from another agent, not from a user. Sender: ${sender.name} (${sender.id}). ${answer}]\n\n${text}`
}

/** What an agent said in a turn: its texts, and what it sent with `send_message`; '' when it said nothing. */
export function answerOf(agent: Pick<Agent, 'agent_type'>, messages: readonly StoredMessage[]): string {
  // To agents of the older types plain text is thought.
  const silent = runsOlderLoop(agent.agent_type)
  const said = messages.flatMap((message) => {
    if (message.role !== 'assistant') return []
    const sent = message.tool_calls
      .filter((call) => call.function.name === SEND_MESSAGE)
      .map((call) => {
        const args = parseArguments(call.function.arguments)
        return typeof args !== 'string' && typeof args['message'] === 'string' ? args['message'] : ''
      })
    // An older agent that answers in plain text instead of a call has spoken all the same.
    const text = silent && message.tool_calls.length > 0 ? '' : textOf(message.content)
    return [text, ...sent]
  })
  return said.filter((text) => text.trim() !== '').join('\n\n')
}

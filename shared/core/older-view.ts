import type { Agent } from '../schema/agent.ts'
import type { ContentPart, StoredMessage } from '../schema/message.ts'
import { unpackText } from '../schema/message-text.ts'
import { runsOlderLoop } from './agent-tools.ts'
import { packText } from './packed-text.ts'
import { withThought } from './turn/inner-thoughts.ts'

/** How agents of the older types are shown their own thoughts: as they are asked to write them. */
export interface OlderView {
  thoughts: 'argument' | 'text'
}

/** How the messages of this agent are shown to its model; undefined for agents of the current types. */
export function olderViewOf(agent: Pick<Agent, 'agent_type' | 'llm_config'>): OlderView | undefined {
  if (!runsOlderLoop(agent.agent_type)) return undefined
  return { thoughts: agent.llm_config.put_inner_thoughts_in_kwargs === true ? 'argument' : 'text' }
}

/**
 * A stored message as agents of the older types are shown it: what came in is packed as JSON with its time, and what they
 * thought stands where they wrote it. The first message of a context is the prompt, which stays as it is.
 */
export function shownToOlder(
  message: StoredMessage,
  index: number,
  view: OlderView,
  timezone: string,
): StoredMessage {
  switch (message.role) {
    case 'system':
      return index === 0 && message.otid === null
        ? message
        : { ...message, content: packedContent(message, timezone) }
    case 'user':
      return { ...message, content: packedContent(message, timezone) }
    case 'assistant':
      return withThoughts(message, view)
    case 'tool':
    case 'approval':
    case 'summary':
      return message
  }
}

/** The text of a message packed, unless it is already; images follow it. */
function packedContent(message: StoredMessage, timezone: string): ContentPart[] {
  const texts = message.content.flatMap((part) => (part.type === 'text' ? [part.text] : []))
  const others = message.content.filter((part) => part.type !== 'text')
  if (texts.length === 0) return others
  const text = texts.join('\n')
  const fields = { message: text, ...(message.name === null ? {} : { name: message.name }) }
  const at = { date: new Date(message.created_at), timezone }
  const type = message.role === 'system' ? 'system_alert' : 'user_message'
  return [{ type: 'text', text: unpackText(text) ? text : packText(type, fields, at) }, ...others]
}

/** No provider knows the thoughts that these agents write as reasoning: they are arguments of the call, or text. */
function withThoughts(message: StoredMessage, view: OlderView): StoredMessage {
  const written = message.content.flatMap((part) =>
    part.type === 'reasoning' && !part.is_native ? [part.reasoning] : [],
  )
  if (written.length === 0) return message
  const content = message.content.filter((part) => part.type !== 'reasoning' || part.is_native)
  const thought = written.join('\n\n')
  const [call, ...more] = message.tool_calls
  if (view.thoughts === 'text' || !call)
    return { ...message, content: [...content, { type: 'text', text: thought }] }
  const shown = { ...call.function, arguments: withThought(call.function.arguments, thought) }
  return { ...message, content, tool_calls: [{ ...call, function: shown }, ...more] }
}

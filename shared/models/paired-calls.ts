import type { ModelMessage } from '../core/ports/models.ts'

type AssistantMessage = ModelMessage & { role: 'assistant' }
type ToolMessage = ModelMessage & { role: 'tool' }

/**
 * The conversation as strict providers want it: each call has an id of its own and its result directly behind it, in the
 * order of the calls; a result without a call is told as text. `idOf` makes an id that the provider takes. What was in
 * order stays as it was, and what comes later changes nothing of what came before.
 */
export function pairCalls(
  messages: readonly ModelMessage[],
  idOf: (id: string) => string = (id) => id,
): readonly ModelMessage[] {
  // Most conversations, however long.
  if (!messages.some(hasCalls)) return messages
  const out: ModelMessage[] = []
  const used = new Set<string>()
  const answered = new Set<ModelMessage>()
  const unused = (id: string) => {
    const plain = idOf(id)
    let given = plain
    for (let n = 2; used.has(given); n++) given = `${plain}_${n}`
    used.add(given)
    return given
  }
  for (const [i, message] of messages.entries()) {
    if (message.role === 'tool') {
      if (!answered.has(message)) out.push(orphan(message))
    } else if (message.role === 'assistant' && message.tool_calls.length > 0) {
      const ids = message.tool_calls.map((call) => unused(call.id))
      out.push(renamed(message, ids), ...resultsOf(message, ids, following(messages, i), answered))
    } else out.push(message)
  }
  return out
}

function hasCalls(message: ModelMessage): boolean {
  return message.role === 'tool' || (message.role === 'assistant' && message.tool_calls.length > 0)
}

function renamed(message: AssistantMessage, ids: string[]): AssistantMessage {
  if (message.tool_calls.every((call, i) => call.id === ids[i])) return message
  return { ...message, tool_calls: message.tool_calls.map((call, i) => ({ ...call, id: ids[i] ?? call.id })) }
}

function resultsOf(
  asked: AssistantMessage,
  ids: string[],
  results: ToolMessage[],
  answered: Set<ModelMessage>,
): ToolMessage[] {
  return asked.tool_calls.map((call, i) => {
    const tool_call_id = ids[i] ?? call.id
    const result = results.find((one) => one.tool_call_id === call.id && !answered.has(one))
    if (!result) return { role: 'tool', tool_call_id, name: call.name, content: '(no result)' }
    answered.add(result)
    return result.tool_call_id === tool_call_id ? result : { ...result, tool_call_id }
  })
}

/** The tool messages that come directly after this place. */
function following(messages: readonly ModelMessage[], at: number): ToolMessage[] {
  const found: ToolMessage[] = []
  for (let i = at + 1; i < messages.length; i++) {
    const message = messages[i]
    if (message?.role !== 'tool') break
    found.push(message)
  }
  return found
}

function orphan({ name, content }: ToolMessage): ModelMessage {
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content
  return { role: 'user', content: [{ type: 'text', text: `Result of ${name}:` }, ...parts], name: null }
}

import type { ModelMessage, ModelRequest } from '../core/ports/models.ts'
import type { ContentPart } from '../schema/message.ts'
import type { SaidByModel } from './observe.ts'

/** What went to a model, as the conventions for generative AI write it. */
export function requestContent({ messages }: ModelRequest): Record<string, string> {
  const system = messages.flatMap((message) =>
    message.role === 'system' ? [{ type: 'text', content: message.text }] : [],
  )
  const rest = messages.flatMap((message) => (message.role === 'system' ? [] : [messageContent(message)]))
  return {
    'gen_ai.input.messages': JSON.stringify(rest),
    ...(system.length > 0 ? { 'gen_ai.system_instructions': JSON.stringify(system) } : {}),
  }
}

/** What came back. */
export function answerContent(said: SaidByModel, finish_reason: string | null): Record<string, string> {
  const parts = [
    ...(said.text === '' ? [] : [{ type: 'text', content: said.text }]),
    ...said.tool_calls.filter(Boolean).map(callContent),
  ]
  const message = { role: 'assistant', parts, ...(finish_reason === null ? {} : { finish_reason }) }
  return { 'gen_ai.output.messages': JSON.stringify([message]) }
}

function messageContent(message: Exclude<ModelMessage, { role: 'system' }>) {
  switch (message.role) {
    case 'user':
      return { role: 'user', parts: partsOf(message.content) }
    case 'assistant':
      return {
        role: 'assistant',
        parts: [...partsOf(message.content), ...message.tool_calls.map(callContent)],
      }
    case 'tool': {
      const { tool_call_id: id, content } = message
      const response = typeof content === 'string' ? content : partsOf(content)
      return { role: 'tool', parts: [{ type: 'tool_call_response', id, response }] }
    }
  }
}

/** Words alone: images and thoughts are named, not sent. */
function partsOf(content: readonly ContentPart[]) {
  return content.map((part) =>
    part.type === 'text' ? { type: 'text', content: part.text } : { type: part.type },
  )
}

function callContent({ id, name, arguments: given }: { id: string; name: string; arguments: string }) {
  return { type: 'tool_call', id, name, arguments: given }
}

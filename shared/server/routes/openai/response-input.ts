import type { ChatMessage } from '../../../schema/openai.ts'
import type { ResponseInputItem, ResponseRequest } from '../../../schema/openai-responses.ts'

/** The input of a response as messages of a chat. What is only shown to the client is left out. */
export function inputMessages(input: ResponseRequest['input']): ChatMessage[] {
  return typeof input === 'string' ? [{ role: 'user', content: input }] : input.flatMap(toMessages)
}

function toMessages(item: ResponseInputItem): ChatMessage[] {
  if ('role' in item) {
    const { role, content } = item
    if (role !== 'user') return [{ role, content: plain(content) }]
    if (typeof content === 'string') return [{ role, content }]
    return [{ role, content: content.map(asPart) }]
  }
  if (item.type === 'function_call')
    return [{ role: 'assistant', content: null, tool_calls: [{ id: item.call_id }] }]
  if (item.type === 'function_call_output')
    return [{ role: 'tool', tool_call_id: item.call_id, content: plain(item.output) }]
  return []
}

type Content = Extract<ResponseInputItem, { role: string }>['content']
type Part = Exclude<Content, string>[number]

function asPart(part: Part) {
  return 'text' in part
    ? { type: 'text' as const, text: part.text }
    : { type: 'image_url' as const, image_url: { url: part.image_url } }
}

function plain(content: Content): string {
  if (typeof content === 'string') return content
  return content.map((part) => ('text' in part ? part.text : '[image]')).join('\n')
}

import type { AnthropicMessage } from '../../../schema/anthropic.ts'
import type { ChatMessage } from '../../../schema/openai.ts'
import type { HistoryMessage } from '../../history-input.ts'

type UserPart = Exclude<Extract<ChatMessage, { role: 'user' }>['content'], string>[number]

/** The messages of Anthropic as those of a chat. */
export function toHistory(messages: readonly AnthropicMessage[]): HistoryMessage[] {
  return messages.flatMap(({ role, content }): HistoryMessage[] => {
    if (typeof content === 'string') return [{ role, content }]
    const said = content.filter((part) => part.type === 'text')
    if (role === 'assistant') {
      const tool_calls = content.flatMap((part) => (part.type === 'tool_use' ? [{ id: part.id }] : []))
      return [{ role, content: said.map(({ text }) => text).join(''), tool_calls }]
    }
    const results = content.flatMap((part): HistoryMessage[] =>
      part.type === 'tool_result'
        ? [
            {
              role: 'tool',
              tool_call_id: part.tool_use_id,
              content: part.content == null || part.content.length === 0 ? '' : part.content,
              is_error: part.is_error ?? false,
            },
          ]
        : [],
    )
    const parts = content.flatMap((part): UserPart[] => {
      if (part.type === 'text') return [part]
      if (part.type !== 'image') return []
      const { source } = part
      const url = source.type === 'url' ? source.url : `data:${source.media_type};base64,${source.data}`
      return [{ type: 'image_url' as const, image_url: { url } }]
    })
    return parts.length === 0 ? results : [...results, { role: 'user', content: parts }]
  })
}

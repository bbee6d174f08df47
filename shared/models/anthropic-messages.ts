import type { Anthropic } from '@anthropic-ai/sdk'
import type { ModelMessage } from '../core/ports/models.ts'
import type { ContentPart } from '../schema/message.ts'
import type { Model } from '../schema/model.ts'
import { ownContent } from './own-reasoning.ts'
import { pairCalls } from './paired-calls.ts'

type Param = Anthropic.MessageParam
type Block = Anthropic.ContentBlockParam
type Shown = Anthropic.TextBlockParam | Anthropic.ImageBlockParam
type AssistantMessage = ModelMessage & { role: 'assistant' }

/**
 * A conversation as the Messages API takes it: user and assistant by turns, the user first and last, each call
 * followed by its result, ids that are unique. What does not fit is said as text rather than left out. The first
 * messages of a longer conversation are those of the shorter one, byte for byte.
 */
export function toAnthropicMessages(
  messages: readonly ModelMessage[],
  model: Model,
): { system: string[]; messages: Param[] } {
  const paired = pairCalls(messages, callId)
  // A later one is input: without it a conversation that another agent begins would have no message at all.
  const [head] = paired
  const system = head?.role === 'system' && head.text !== '' ? [head.text] : []
  const out = new Conversation()
  for (const message of head?.role === 'system' ? paired.slice(1) : paired) {
    switch (message.role) {
      case 'system':
        out.add('user', [{ type: 'text', text: `<system>\n${message.text}\n</system>` }])
        break
      case 'user':
        out.add('user', message.content.flatMap(toShown))
        break
      case 'assistant':
        out.add('assistant', toBlocks(message, model))
        break
      case 'tool': {
        const { tool_call_id: tool_use_id, content: given } = message
        const content = typeof given === 'string' ? given : given.flatMap(toShown)
        out.add('user', [{ type: 'tool_result', tool_use_id, content }])
        break
      }
    }
  }
  return { system, messages: out.finished() }
}

function callId(id: string): string {
  return id.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 128) || 'call'
}

/** Messages in the making: neighbours of one role become one. */
class Conversation {
  readonly #messages: { role: 'user' | 'assistant'; content: Block[] }[] = []

  add(role: 'user' | 'assistant', blocks: Block[]): void {
    if (blocks.length === 0) return
    const last = this.#messages.at(-1)
    if (last?.role === role) last.content.push(...blocks)
    else {
      if (!last && role === 'assistant')
        this.add('user', [{ type: 'text', text: '(The conversation goes on.)' }])
      this.#messages.push({ role, content: [...blocks] })
    }
  }

  finished(): Param[] {
    // An answer to be continued is refused by today's models.
    if (this.#messages.at(-1)?.role !== 'user') this.add('user', [{ type: 'text', text: '(Go on.)' }])
    return this.#messages
  }
}

function toBlocks(message: AssistantMessage, model: Model): Block[] {
  const said = ownContent(message, model).flatMap((part): Block[] => {
    switch (part.type) {
      case 'text':
        return part.text.trim() === '' ? [] : [{ type: 'text', text: part.text }]
      case 'reasoning':
        // Without its signature a thought is refused.
        return part.signature
          ? [{ type: 'thinking', thinking: part.reasoning, signature: part.signature }]
          : []
      case 'omitted_reasoning':
        return part.signature ? [{ type: 'thinking', thinking: '', signature: part.signature }] : []
      case 'redacted_reasoning':
        return [{ type: 'redacted_thinking', data: part.data }]
      case 'image':
        return []
    }
  })
  const calls = message.tool_calls.map((call): Block => ({
    type: 'tool_use',
    id: call.id,
    name: call.name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 128) || 'unknown',
    input: inputOf(call.arguments),
  }))
  // Thoughts alone are no answer.
  return said.every((block) => block.type.endsWith('thinking')) && calls.length === 0
    ? []
    : [...said, ...calls]
}

/** The arguments as an object, which they must be; what is none is shown as it came. */
function inputOf(text: string): Record<string, unknown> {
  if (text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
  } catch {
    // Half a JSON, say: the model reads in the result what was wrong with it.
  }
  return { invalid_arguments: text }
}

function toShown(part: ContentPart): Shown[] {
  if (part.type === 'text') return part.text.trim() === '' ? [] : [{ type: 'text', text: part.text }]
  if (part.type !== 'image') return []
  const { source } = part
  if (source.type === 'url') return [{ type: 'image', source: { type: 'url', url: source.url } }]
  const data = source.data ?? null
  const media_type = IMAGE_TYPES.find((type) => type === (source.media_type ?? 'image/png'))
  if (data === null || media_type === undefined)
    return [{ type: 'text', text: `[image ${'file_id' in source ? source.file_id : source.media_type}]` }]
  return [{ type: 'image', source: { type: 'base64', media_type, data } }]
}

const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'] as const

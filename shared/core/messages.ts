import { newId } from '../schema/ids.ts'
import type { ContentPart, MessageCreate, StoredMessage, StoredToolReturn } from '../schema/message.ts'
import type { ModelMessage } from './ports/models.ts'
import { formatLocalTime } from './prompt.ts'

type Place = Pick<StoredMessage, 'agent_id' | 'conversation_id' | 'run_id' | 'step_id'>

function blank(place: Place, at: Date): Omit<StoredMessage, 'id' | 'role' | 'content'> {
  return {
    ...place,
    name: null,
    otid: null,
    sender_id: null,
    group_id: null,
    model: null,
    tool_calls: [],
    tool_returns: [],
    is_err: false,
    created_at: at.toISOString(),
  }
}

export function systemMessage(text: string, place: Place, at: Date): StoredMessage {
  return { ...blank(place, at), id: newId('message'), role: 'system', content: [{ type: 'text', text }] }
}

/** Input as the client sent it: text is stored verbatim, not wrapped in JSON (reference 3.2). */
export function inputMessage(input: MessageCreate, place: Place, at: Date): StoredMessage {
  const id = newId('message')
  return {
    ...blank(place, at),
    id,
    role: input.role,
    content:
      typeof input.content === 'string'
        ? [{ type: 'text', text: clean(input.content) }]
        : input.content.map((part) => (part.type === 'text' ? { ...part, text: clean(part.text) } : part)),
    name: input.name ?? null,
    otid: input.otid ?? id.slice('message-'.length),
    sender_id: input.sender_id ?? null,
    group_id: input.group_id ?? null,
  }
}

export function assistantMessage(
  id: string,
  content: ContentPart[],
  tool_calls: StoredMessage['tool_calls'],
  model: string,
  place: Place,
  at: Date,
): StoredMessage {
  return { ...blank(place, at), id, role: 'assistant', content, tool_calls, model }
}

/** One message with the returns of all calls of a step, in the order they were asked for. */
export function toolMessage(tool_returns: StoredToolReturn[], place: Place, at: Date): StoredMessage {
  return { ...blank(place, at), id: newId('message'), role: 'tool', content: [], tool_returns }
}

/** NUL cannot be stored as text by every engine. */
function clean(text: string): string {
  return text.replaceAll('\0', '')
}

/** The text of a message's content; images and reasoning have none. */
export function textOf(content: readonly ContentPart[]): string {
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

/**
 * Stored messages as the model is shown them. Tool returns are packed as V1 does (`{status, message, time}`, local
 * time of the agent) and clipped to `max_return_chars` with a note. Each
 * answer names its model, whose adapter alone sends its reasoning back. The result depends on nothing but its arguments, so that the prefix of a request stays byte-identical.
 */
export function toModelMessages(messages: readonly StoredMessage[], options: ViewOptions): ModelMessage[] {
  return messages.flatMap((message) => toModelMessage(message, options))
}

/** For whom stored messages are rendered. */
export interface ViewOptions {
  timezone: string
  max_return_chars: number
}

function toModelMessage(message: StoredMessage, options: ViewOptions): ModelMessage[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', text: textOf(message.content) }]
    case 'user':
    case 'summary':
      return [{ role: 'user', content: message.content, name: message.name }]
    case 'assistant':
      return [
        {
          role: 'assistant',
          content: message.content,
          tool_calls: message.tool_calls.map(({ id, function: fn, signature }) => ({
            id,
            ...fn,
            ...(signature === undefined ? {} : { signature }),
          })),
          model: message.model,
        },
      ]
    case 'tool':
      return message.tool_returns.map((result) => ({
        role: 'tool',
        tool_call_id: result.tool_call_id,
        name: result.name,
        content: packReturn(result, new Date(message.created_at), options),
      }))
    case 'approval':
      return []
  }
}

function packReturn(result: StoredToolReturn, at: Date, options: ViewOptions): string | ContentPart[] {
  const pack = (text: string) =>
    JSON.stringify({
      status: result.status === 'success' ? 'OK' : 'Failed',
      message: clip(text, options.max_return_chars),
      time: formatLocalTime(at, options.timezone),
    })
  if (typeof result.func_response === 'string') return pack(result.func_response)
  const images = result.func_response.filter((part) => part.type === 'image')
  return [{ type: 'text', text: pack(textOf(result.func_response)) }, ...images]
}

/** Cuts `text` to `max` characters and says how many are missing; never inside a surrogate pair. */
export function clip(text: string, max: number): string {
  if (text.length <= max) return text
  const end = isHighSurrogate(text.charCodeAt(max - 1)) ? max - 1 : max
  return `${text.slice(0, end)}... [truncated ${text.length - end} chars]`
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff
}

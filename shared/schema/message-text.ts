import type { ContentPart, StoredMessage, StoredToolCall } from './message.ts'

/** The tool through which agents of the older types speak, and the argument that it says (reference 4.1). */
export const SEND_MESSAGE = 'send_message'
const SAID = 'message'

/** What the user messages of the older loop are, besides what a user says (reference 3.7). */
export type PackedType = 'user_message' | 'system_alert' | 'heartbeat' | 'login'

const PACKED_TYPES = new Set<unknown>(['user_message', 'system_alert', 'heartbeat', 'login'])

/** The packed message that a text is: JSON with one of those types and a time. Null for any other text. */
export function unpackText(text: string): { type: PackedType; message: string | null } | null {
  if (!text.startsWith('{')) return null
  const value = objectOf(text)
  if (!PACKED_TYPES.has(value['type']) || typeof value['time'] !== 'string') return null
  const message = value['message']
  return { type: value['type'] as PackedType, message: typeof message === 'string' ? message : null }
}

/** What a call of a speaking tool says; null when its arguments do not hold that text. */
export function spokenText(call: StoredToolCall, argument = SAID): string | null {
  const value = objectOf(call.function.arguments)[argument]
  return typeof value === 'string' ? value : null
}

/**
 * What a message says in words, as one would search for it: nothing that only the program said (heartbeats), nothing
 * that was only thought, and of an agent that speaks by a tool what it said by it.
 */
export function wordsOf(message: Pick<StoredMessage, 'role' | 'content' | 'tool_calls'>): string {
  const texts = message.content.map((part: ContentPart) => (part.type === 'text' ? part.text : ''))
  if (message.role === 'user') {
    const packed = unpackText(texts[0] ?? '')
    if (packed) texts[0] = packed.type === 'user_message' ? (packed.message ?? '') : ''
  }
  for (const call of message.tool_calls)
    if (call.function.name === SEND_MESSAGE) texts.push(spokenText(call) ?? '')
  return texts
    .filter((text) => text !== '')
    .join('\n')
    .trim()
}

function objectOf(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    return {}
  }
}

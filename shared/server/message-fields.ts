import type { ContentPart, StoredMessage, StoredToolReturn } from '../schema/message.ts'

/** V1's `date`: ISO 8601 to the second with an offset. */
export function wireDate(created_at: string): string {
  return `${created_at.slice(0, 19)}+00:00`
}

/** Tells the parts of one stored message apart: its uuid with the low 7 bits replaced (reference 3.8). */
export function partOtid(message_id: string, index: number): string {
  const uuid = message_id.slice(message_id.indexOf('-') + 1)
  const last = (Number.parseInt(uuid.slice(-2), 16) & 0x80) | (index & 0x7f)
  return uuid.slice(0, -2) + last.toString(16).padStart(2, '0')
}

/** What is common to the API messages of one stored message. */
export function commonFields(message: StoredMessage, otid: string | null) {
  return {
    id: message.id,
    date: wireDate(message.created_at),
    name: message.name,
    otid,
    sender_id: message.sender_id,
    step_id: message.step_id,
    run_id: message.run_id,
    seq_id: null,
    ...(message.is_err ? { is_err: true as const } : {}),
  }
}

/** What a tool returned, as text; images are left out. */
export function returnText(returned: StoredToolReturn['func_response']): string {
  return typeof returned === 'string'
    ? returned
    : returned.map((part: ContentPart) => (part.type === 'text' ? part.text : '')).join('')
}

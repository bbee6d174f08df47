import { AppError } from '../shared/schema/errors.ts'

/** About 8k tokens: hosts cut answers at 25k, and a model reads its whole answer. In UTF-8 bytes. */
const CAP = 32_000

/** `text`, or its beginning and a note: `rest` says, for the count of characters shown, how to see what was left out. */
export function capped(text: string, rest: (shown: number) => string, cap = CAP): string {
  const head = beginning(text, cap)
  if (head.length === text.length) return text
  return `${head}\n\n[Cut here, ${text.length - head.length} characters left out. ${rest(head.length)}]`
}

/** As much of `text` as fits into `cap` UTF-8 bytes, no character cut in half. */
function beginning(text: string, cap: number): string {
  if (text.length * 3 <= cap) return text
  const bytes = new TextEncoder().encode(text)
  if (bytes.length <= cap) return text
  const head = new TextDecoder().decode(bytes.subarray(0, cap)).replace(/\uFFFD+$/, '')
  return /[\uD800-\uDBFF]$/.test(head) ? head.slice(0, -1) : head
}

/** `text` on one line, at most `length` characters. */
export function oneLine(text: string, length = 160): string {
  const flat = text.replace(/\s+/g, ' ').trim()
  return flat.length > length ? `${flat.slice(0, length - 1)}…` : flat
}

/** Text of a message's content: a string, or parts of which some are text. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part: { type?: unknown; text?: unknown }) =>
      typeof part.text === 'string' ? part.text : typeof part.type === 'string' ? `[${part.type}]` : '',
    )
    .join('')
}

/** A refusal of the API in the words of a tool: without the code in front, and without the parts of a request. */
export function withoutCode(text: string): string {
  return text.replace(/^[A-Z][A-Z_]+: /, '').replace(/(^|; )(?:body|query|path)\./g, '$1')
}

/** An instant as people read it: `2026-11-22 03:14` in UTC. */
export function when(instant: string | null | undefined): string {
  const date = instant ? new Date(instant) : null
  if (!date || Number.isNaN(date.getTime())) return ''
  return date.toISOString().slice(0, 16).replace('T', ' ')
}

/** One page of a list that was asked for one item more than `limit`, and whether there is more. */
export function pageOf<T>(items: readonly T[], limit: number): { page: T[]; more: boolean } {
  return { page: items.slice(0, limit), more: items.length > limit }
}

/** The cursor of a ranked list: how many results were seen. Throws `invalid_argument` for what is none. */
export function offsetOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0
  if (/^\d{1,6}$/.test(cursor)) return Number(cursor)
  throw new AppError(
    'invalid_argument',
    `'${cursor}' is no cursor that this tool has answered with this query.`,
  )
}

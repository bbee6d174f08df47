import { types } from 'pg'

/** Stands for NUL in a text of PostgreSQL, which cannot hold one; and for the way JSON writes it. Both are private-use. */
const NUL = '\u{F0000}'
const JSON_NUL = '\u{F0001}'
/** Before a digit: one of these three as it was given. */
const ITSELF = '\u{F0002}'
const RESERVED = /[\u{F0000}-\u{F0002}]/gu
const STORED = /\u{F0002}([012])|[\u{F0000}\u{F0001}]/gu
/** Of all of these, and of few other characters. */
const FIRST_HALF = '\uDB80'
/** Not after an odd number of backslashes: then it is a backslash and a word. */
const ESCAPED_NUL = /(?<!\\)((?:\\\\)*)\\u0000/g

/** A parameter as it is sent. */
export function outgoing(value: unknown): unknown {
  if (typeof value !== 'string') return value
  const given = value.includes(FIRST_HALF)
    ? value.replaceAll(RESERVED, (one) => `${ITSELF}${(one.codePointAt(0) ?? 0) & 0xf}`)
    : value
  const text = given.includes('\0') ? given.replaceAll('\0', NUL) : given
  return text.includes(String.raw`\u0000`) ? text.replaceAll(ESCAPED_NUL, `$1${JSON_NUL}`) : text
}

/** A text as it was given. */
export function incoming(text: string): string {
  if (!text.includes(FIRST_HALF)) return text
  return text.replaceAll(STORED, (mark, digit?: string) => {
    if (digit !== undefined) return String.fromCodePoint(0xf0000 + Number(digit))
    return mark === NUL ? '\0' : String.raw`\u0000`
  })
}

const BYTEA = 17
const INT8 = 20
const TEXT = 25
const NUMERIC = 1700

const parsers = new Map<number, (text: string) => unknown>([
  // A copy of its own: the numbers in it are read where they begin.
  [BYTEA, (text) => new Uint8Array(Buffer.from(text.slice(2), 'hex'))],
  [INT8, Number],
  [NUMERIC, Number],
  [TEXT, incoming],
])

/** How columns are read: whole numbers are numbers (none of ours is larger than those are exact), texts as given. */
export const typeParsers = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    parsers.get(oid) ?? types.getTypeParser(oid, format),
}

import { types } from 'pg'

/** Stands for NUL in a text of PostgreSQL, which cannot hold one; and for the way JSON writes it. Both are private-use. */
const NUL = '\u{F0000}'
const JSON_NUL = '\u{F0001}'
const STANDS_FOR_NUL = /[\u{F0000}\u{F0001}]/gu
/** Not after an odd number of backslashes: then it is a backslash and a word. */
const ESCAPED_NUL = /(?<!\\)((?:\\\\)*)\\u0000/g

/** A parameter as it is sent. */
export function outgoing(value: unknown): unknown {
  if (typeof value !== 'string') return value
  const text = value.includes('\0') ? value.replaceAll('\0', NUL) : value
  return text.includes(String.raw`\u0000`) ? text.replaceAll(ESCAPED_NUL, `$1${JSON_NUL}`) : text
}

/** A text as it was given. */
function incoming(text: string): string {
  // The first half of both.
  if (!text.includes('\uDB80')) return text
  return text.replaceAll(STANDS_FOR_NUL, (mark) => (mark === NUL ? '\0' : String.raw`\u0000`))
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

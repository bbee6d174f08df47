/** Where something stands in a text; both count from 1. */
export interface Position {
  line: number
  column: number
}

/** A JSON text and where its values stand. */
export interface JsonText {
  value: unknown
  /** Position of the value at this path, or of the nearest one around it. */
  positionOf(path: readonly PropertyKey[]): Position
}

/** The text is not JSON. The message repeats nothing of the text, which may hold keys. */
export class JsonTextError extends Error {
  readonly position: Position

  constructor(message: string, position: Position) {
    super(message)
    this.position = position
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const STRING = /"(?:[^"\\\n\r]|\\.)*"/y
const SPACE = /[ \t\r\n]*/y
const WORDS = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
])

/**
 * Parses JSON as `JSON.parse` does, but keeps positions: the engine's own message quotes the text and often has none.
 * Throws `JsonTextError`.
 */
export function parseJsonText(text: string): JsonText {
  const starts = new Map<string, number>()
  let at = text.startsWith('\uFEFF') ? 1 : 0

  function fail(expected: string): never {
    const found = at >= text.length ? 'the file ends here' : 'found something else'
    throw new JsonTextError(`expected ${expected}, ${found}`, positionAt(text, at))
  }
  function match(pattern: RegExp): string | null {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? null
    if (found !== null) at += found.length
    return found
  }
  function skip(character: string): boolean {
    match(SPACE)
    if (text[at] !== character) return false
    at++
    return true
  }
  function readValue(path: readonly (string | number)[]): unknown {
    match(SPACE)
    if (path.length > 100) fail('less nesting')
    starts.set(JSON.stringify(path), at)
    if (skip('{')) return readObject(path)
    if (skip('[')) return readList(path)
    if (text[at] === '"') return readString()
    const number = match(NUMBER)
    if (number !== null) return Number(number)
    for (const [word, value] of WORDS) {
      if (!text.startsWith(word, at)) continue
      at += word.length
      return value
    }
    return fail('a value')
  }
  function readString(): string {
    const start = at
    const literal = match(STRING)
    if (literal === null) return fail('a string that is closed in its own line')
    try {
      return JSON.parse(literal) as string
    } catch {
      at = start
      return fail('a string with valid escapes')
    }
  }
  function readObject(path: readonly (string | number)[]): unknown {
    const entries: [string, unknown][] = []
    if (skip('}')) return {}
    do {
      match(SPACE)
      if (text[at] !== '"') fail('a key in double quotes (no comma after the last entry)')
      const key = readString()
      if (!skip(':')) fail("':'")
      entries.push([key, readValue([...path, key])])
    } while (skip(','))
    if (!skip('}')) fail("',' or '}'")
    return Object.fromEntries(entries)
  }
  function readList(path: readonly (string | number)[]): unknown {
    const list: unknown[] = []
    if (skip(']')) return list
    do list.push(readValue([...path, list.length]))
    while (skip(','))
    if (!skip(']')) fail("',' or ']'")
    return list
  }

  const value = readValue([])
  match(SPACE)
  if (at < text.length) fail('nothing after the end')
  return {
    value,
    positionOf(path) {
      for (let length = path.length; length > 0; length--) {
        const start = starts.get(JSON.stringify(path.slice(0, length)))
        if (start !== undefined) return positionAt(text, start)
      }
      return positionAt(text, starts.get('[]') ?? 0)
    },
  }
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}

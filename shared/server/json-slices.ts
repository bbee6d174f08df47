import { setImmediate } from 'node:timers/promises'
import { AppError, messageOf } from '../schema/errors.ts'
import { cleanText } from './body.ts'

/** Parts of about this many characters are parsed in one go. */
const SLICE = 64_000
/** How long parsing goes on before others have their turn, in milliseconds. */
const SLICE_MS = 5
const MAX_DEPTH = 200
const SPACE = /\s*/y

/** Gives others their turn whenever this has not happened for some milliseconds. */
export function breather(): () => Promise<void> {
  let since = performance.now()
  return async () => {
    if (performance.now() - since < SLICE_MS) return
    await setImmediate()
    since = performance.now()
  }
}

/**
 * The value of a JSON text of any length, parsed part by part so that the event loop goes on meanwhile. NUL and lone
 * surrogates are replaced as in every body. Throws `invalid_argument` that says where a text is no JSON.
 */
export async function parseJson(text: string, breathe: () => Promise<void>): Promise<unknown> {
  const parser = new Parser(text, breathe)
  const value = await parser.value(0)
  parser.end()
  return value
}

class Parser {
  readonly #text: string
  readonly #breathe: () => Promise<void>
  #at = 0

  constructor(text: string, breathe: () => Promise<void>) {
    this.#text = text
    this.#breathe = breathe
  }

  /** The value that begins here. What is small is left to JSON.parse; what is not is taken apart. */
  async value(depth: number): Promise<unknown> {
    const first = this.#next()
    if (first !== '{' && first !== '[') return this.#leaf(this.#endOfScalar())
    const end = this.#endOfSmall()
    if (end !== null) return this.#leaf(end)
    if (depth >= MAX_DEPTH) throw this.#wrong(`nested deeper than ${MAX_DEPTH} levels`)
    this.#at++
    return first === '[' ? this.#list(depth) : this.#object(depth)
  }

  end(): void {
    if (this.#next() !== '') throw this.#wrong('there is more after the end of the JSON')
  }

  async #list(depth: number): Promise<unknown[]> {
    const items: unknown[] = []
    while (this.#next() !== ']') {
      if (items.length > 0) this.#take(',')
      items.push(await this.value(depth + 1))
      await this.#breathe()
    }
    this.#at++
    return items
  }

  async #object(depth: number): Promise<object> {
    const entries: [string, unknown][] = []
    while (this.#next() !== '}') {
      if (entries.length > 0) this.#take(',')
      if (this.#next() !== '"') throw this.#wrong('a name in quotes is expected')
      const key = this.#leaf(this.#endOfString(this.#at) + 1) as string
      this.#take(':')
      entries.push([key, await this.value(depth + 1)])
      await this.#breathe()
    }
    this.#at++
    // Not an assignment: a name may be `__proto__`.
    return Object.fromEntries(entries)
  }

  /** The first character behind spaces; empty at the end. */
  #next(): string {
    SPACE.lastIndex = this.#at
    SPACE.test(this.#text)
    this.#at = SPACE.lastIndex
    return this.#text.charAt(this.#at)
  }

  #take(mark: ',' | ':'): void {
    if (this.#next() !== mark) throw this.#wrong(`'${mark}' is expected`)
    this.#at++
    if (mark === ',' && (this.#next() === ']' || this.#next() === '}')) throw this.#wrong('a comma too many')
  }

  #leaf(end: number): unknown {
    const part = this.#text.slice(this.#at, end)
    try {
      const value: unknown = JSON.parse(part)
      this.#at = end
      return part.includes('\\u') ? cleaned(value) : value
    } catch (error) {
      throw this.#wrong(messageOf(error))
    }
  }

  #endOfScalar(): number {
    if (this.#text.charAt(this.#at) === '"') return this.#endOfString(this.#at) + 1
    let end = this.#at
    while (end < this.#text.length && !/[\s,\]}]/.test(this.#text.charAt(end))) end++
    return end
  }

  /** Behind the list or object that begins here; null when it is long. */
  #endOfSmall(): number | null {
    let depth = 0
    const limit = Math.min(this.#text.length, this.#at + SLICE)
    for (let i = this.#at; i < limit; i++) {
      switch (this.#text.charCodeAt(i)) {
        case 0x22: // "
          i = this.#endOfString(i)
          break
        case 0x5b: // [
        case 0x7b: // {
          if (++depth > MAX_DEPTH) throw this.#wrong(`nested deeper than ${MAX_DEPTH} levels`)
          break
        case 0x5d: // ]
        case 0x7d: // }
          if (--depth === 0) return i + 1
          break
      }
    }
    if (limit === this.#text.length && this.#text.length - this.#at < SLICE)
      throw this.#wrong('the text ends too early')
    return null
  }

  /** Of the quote that ends the string which begins at `start`. */
  #endOfString(start: number): number {
    for (let end = this.#text.indexOf('"', start + 1); end >= 0; end = this.#text.indexOf('"', end + 1)) {
      let escapes = 0
      while (this.#text.charCodeAt(end - 1 - escapes) === 0x5c) escapes++
      if (escapes % 2 === 0) return end
    }
    throw this.#wrong('a string has no end')
  }

  #wrong(why: string): AppError {
    return new AppError(
      'invalid_argument',
      `The file is not valid JSON, at character ${this.#at + 1}: ${why}`,
    )
  }
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (Array.isArray(value)) return value.map(cleaned)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [cleanText(key), cleaned(item)]))
}

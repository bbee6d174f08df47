import { setImmediate } from 'node:timers/promises'
import { AppError, messageOf } from '../schema/errors.ts'
import { cleanText } from './body.ts'

/** Parts of about this many bytes are parsed in one go. */
const SLICE = 64_000
/** Longer strings are read part by part. */
const LONG = 256_000
/** How long parsing goes on before others have their turn, in milliseconds. */
const SLICE_MS = 5
const MAX_DEPTH = 200
const QUOTE = 0x22
const BACKSLASH = 0x5c

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
 * The value of a JSON text of any length, parsed part by part so that the event loop goes on meanwhile: as one string it
 * would be copied at once. NUL and lone surrogates are replaced as in every body. Throws `invalid_argument` that says
 * where a text is no JSON, or that it is not UTF-8.
 */
export async function parseJson(bytes: Buffer, breathe: () => Promise<void>): Promise<unknown> {
  const parser = new Parser(bytes, breathe)
  const value = await parser.value(0)
  parser.end()
  return value
}

class Parser {
  readonly #bytes: Buffer
  readonly #breathe: () => Promise<void>
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #at = 0

  constructor(bytes: Buffer, breathe: () => Promise<void>) {
    this.#bytes = bytes
    this.#breathe = breathe
    if (bytes.indexOf('\uFEFF') === 0) this.#at = 3
  }

  /** The value that begins here. What is small is left to JSON.parse; what is not is taken apart. */
  async value(depth: number): Promise<unknown> {
    const first = this.#next()
    if (first === '"') return this.#string()
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
    while (isSpace(this.#bytes[this.#at])) this.#at++
    const byte = this.#bytes[this.#at]
    return byte === undefined ? '' : String.fromCharCode(byte)
  }

  #take(mark: ',' | ':'): void {
    if (this.#next() !== mark) throw this.#wrong(`'${mark}' is expected`)
    this.#at++
    if (mark === ',' && (this.#next() === ']' || this.#next() === '}')) throw this.#wrong('a comma too many')
  }

  #leaf(end: number): unknown {
    const value = this.#parsed(this.#decoded(this.#at, end))
    this.#at = end
    return value
  }

  async #string(): Promise<unknown> {
    const end = this.#endOfString(this.#at)
    if (end - this.#at < LONG) return this.#leaf(end + 1)
    let whole = ''
    for (let from = this.#at + 1; from < end;) {
      const to = this.#cut(from, end)
      whole += String(this.#parsed(`"${this.#decoded(from, to)}"`))
      from = to
      await this.#breathe()
    }
    this.#at = end + 1
    return whole
  }

  /** Where a part of a long string may end: with nothing near it that belongs together. */
  #cut(from: number, end: number): number {
    for (let at = from + LONG; at < end; at++) {
      // An escaped pair of surrogates has twelve bytes.
      const near = this.#bytes.subarray(at - 12, at + 1)
      if (near.every((byte) => byte < 0x80 && byte !== BACKSLASH)) return at
    }
    return end
  }

  #decoded(from: number, to: number): string {
    try {
      return this.#decoder.decode(this.#bytes.subarray(from, to))
    } catch (error) {
      throw new AppError(
        'invalid_argument',
        'The agent file is not UTF-8: it must be JSON, encoded as UTF-8.',
        {
          cause: error,
        },
      )
    }
  }

  #parsed(part: string): unknown {
    try {
      const value: unknown = JSON.parse(part)
      return part.includes('\\u') ? cleaned(value) : value
    } catch (error) {
      throw this.#unparsed(part, messageOf(error))
    }
  }

  #endOfScalar(): number {
    let end = this.#at
    for (; end < this.#bytes.length; end++) {
      const byte = this.#bytes[end]
      // A comma, or the end of a list or an object.
      if (isSpace(byte) || byte === 0x2c || byte === 0x5d || byte === 0x7d) break
    }
    return end
  }

  /** Behind the list or object that begins here; null when it is long. */
  #endOfSmall(): number | null {
    let depth = 0
    const limit = Math.min(this.#bytes.length, this.#at + SLICE)
    for (let i = this.#at; i < limit; i++) {
      switch (this.#bytes[i] ?? 0) {
        case QUOTE:
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
    if (limit === this.#bytes.length && this.#bytes.length - this.#at < SLICE)
      throw this.#wrong('the text ends too early', this.#bytes.length - this.#at - 1)
    return null
  }

  /** Of the quote that ends the string which begins at `start`. */
  #endOfString(start: number): number {
    for (
      let end = this.#bytes.indexOf(QUOTE, start + 1);
      end >= 0;
      end = this.#bytes.indexOf(QUOTE, end + 1)
    ) {
      let escapes = 0
      while (this.#bytes[end - 1 - escapes] === BACKSLASH) escapes++
      if (escapes % 2 === 0) return end
    }
    throw this.#wrong('a string has no end')
  }

  /** What JSON.parse says of a part; of places in it only that in the file. */
  #unparsed(part: string, said: string): AppError {
    const why = said.replace(/( in JSON)? at position \d+.*$| is not valid JSON$/, '').replace(' in JSON', '')
    const position = /at position (\d+)/.exec(said)?.[1]
    if (position !== undefined) return this.#wrong(why, Buffer.byteLength(part.slice(0, Number(position))))
    if (/unterminated|end of JSON/i.test(said))
      return this.#wrong('the text ends too early', Buffer.byteLength(part))
    return new AppError('invalid_argument', `The file is not valid JSON, near byte ${this.#at + 1}: ${why}`)
  }

  #wrong(why: string, further = 0): AppError {
    return new AppError(
      'invalid_argument',
      `The file is not valid JSON, at byte ${this.#at + further + 1}: ${why}`,
    )
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (Array.isArray(value)) return value.map(cleaned)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [cleanText(key), cleaned(item)]))
}

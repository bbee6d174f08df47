/** What a piece of a call's arguments amounts to. */
export interface ArgumentDelta {
  /** Text of the arguments without the members that are taken out. */
  rest: string
  /** Decoded text of the members that are taken out, as far as it is known. */
  taken: { name: string; text: string }[]
}

const QUOTE = 34
const BACKSLASH = 92

/**
 * Reads the JSON text of a tool call's arguments as it comes and takes the named members of the outermost object out of
 * it, where they are strings: their text is decoded at once, a surrogate pair never in halves. What is left is the same
 * text without them, so that deltas add up to what `splitArguments` makes of the whole. A model wrote it: nothing is
 * assumed and nothing throws; text that is no object, or stops half way, is passed on as it is.
 */
export class ArgumentStream {
  readonly #names: Set<string>
  #state: 'start' | 'gap' | 'key' | 'colon' | 'kept' | 'taken' | 'verbatim' = 'start'
  /** What stands before a member's value and is not passed on yet. */
  #gap = ''
  #key = ''
  #colon = ''
  #name = ''
  /** A member was taken and none was passed on: the next one goes without its comma. */
  #first_taken = false
  #any_kept = false
  #depth = 0
  #in_string = false
  /** An escape sequence that has begun, backslash included. */
  #escape = ''
  /** The first half of a surrogate pair. */
  #high = ''
  #delta: ArgumentDelta = { rest: '', taken: [] }

  /** Of a name that occurs twice the first one is taken. */
  constructor(names: Iterable<string>) {
    this.#names = new Set(names)
  }

  push(text: string): ArgumentDelta {
    this.#delta = { rest: '', taken: [] }
    for (let i = 0; i < text.length; i++) {
      if (this.#state === 'verbatim') {
        this.#delta.rest += text.slice(i)
        break
      }
      const end = this.#endOfRun(text, i)
      if (end === i) this.#read(text.charAt(i))
      else {
        const run = text.slice(i, end)
        if (this.#state === 'kept') this.#keep(run)
        else this.#say(run)
        i = end - 1
      }
    }
    return this.#delta
  }

  /** Where the plain characters of a string value end, of which a long one has many. */
  #endOfRun(text: string, from: number): number {
    const inside = this.#state === 'taken' || (this.#state === 'kept' && this.#in_string)
    if (!inside || this.#escape !== '') return from
    let end = from
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end)
      if (code === QUOTE || code === BACKSLASH) break
    }
    return end
  }

  /** What was held back at the end of the text. */
  end(): ArgumentDelta {
    this.#delta = { rest: '', taken: [] }
    if (this.#state === 'taken') {
      this.#say(this.#escape)
      this.#flushHigh()
    } else if (this.#state !== 'start' || this.#gap !== '') this.#keep(this.#pending())
    this.#state = 'verbatim'
    return this.#delta
  }

  #read(char: string): void {
    switch (this.#state) {
      case 'start':
        this.#gap += char
        if (/\s/.test(char)) return
        this.#keep(this.#gap)
        this.#gap = ''
        this.#state = char === '{' ? 'gap' : 'verbatim'
        return
      case 'gap':
        if (char === '"') {
          this.#state = 'key'
          this.#key = char
        } else if (/[\s,]/.test(char)) this.#gap += char
        else {
          this.#keep(this.#gap + char)
          this.#gap = ''
          this.#state = 'verbatim'
        }
        return
      case 'key':
        this.#key += char
        if (!this.#escaped(char) && char === '"') {
          this.#name = decoded(this.#key)
          this.#state = 'colon'
        }
        return
      case 'colon':
        if (/[\s:]/.test(char)) this.#colon += char
        else this.#value(char)
        return
      case 'kept':
        this.#keepValue(char)
        return
      case 'taken':
        this.#takeValue(char)
        return
      case 'verbatim':
        this.#keep(char)
    }
  }

  /** The first character of a member's value. */
  #value(char: string): void {
    if (char === '"' && this.#names.delete(this.#name)) {
      this.#state = 'taken'
      this.#first_taken ||= !this.#any_kept
      this.#clear()
      return
    }
    this.#keep(this.#pending())
    this.#clear()
    this.#any_kept = true
    this.#first_taken = false
    this.#state = 'kept'
    this.#depth = 0
    this.#in_string = false
    this.#keepValue(char)
  }

  #keepValue(char: string): void {
    if (this.#in_string) {
      if (!this.#escaped(char) && char === '"') this.#in_string = false
    } else if (char === '"') this.#in_string = true
    else if (char === '{' || char === '[') this.#depth++
    else if (this.#depth > 0) {
      if (char === '}' || char === ']') this.#depth--
    } else if (char === ',') {
      this.#state = 'gap'
      this.#gap = char
      return
    } else if (char === '}') this.#state = 'verbatim'
    this.#keep(char)
  }

  #takeValue(char: string): void {
    if (this.#escape !== '') {
      this.#escape += char
      if (this.#escape.startsWith('\\u') && this.#escape.length < 6) return
      this.#say(unescaped(this.#escape))
      this.#escape = ''
    } else if (char === '\\') this.#escape = char
    else if (char === '"') {
      this.#flushHigh()
      this.#state = 'gap'
    } else this.#say(char)
  }

  /** Whether this character is part of an escape sequence, of which only the quote matters here. */
  #escaped(char: string): boolean {
    if (this.#escape !== '') {
      this.#escape = ''
      return true
    }
    if (char !== '\\') return false
    this.#escape = char
    return true
  }

  #pending(): string {
    const gap = this.#first_taken ? this.#gap.replace(',', '') : this.#gap
    return gap + this.#key + this.#colon
  }

  #clear(): void {
    this.#gap = this.#key = this.#colon = ''
  }

  #keep(text: string): void {
    this.#delta.rest += text
  }

  #say(text: string): void {
    let whole = this.#high + text
    this.#high = ''
    const last = whole.charCodeAt(whole.length - 1)
    if (last >= 0xd800 && last <= 0xdbff) {
      this.#high = whole.slice(-1)
      whole = whole.slice(0, -1)
    }
    this.#emit(whole)
  }

  #flushHigh(): void {
    const half = this.#high
    this.#high = ''
    this.#emit(half.toWellFormed())
  }

  #emit(text: string): void {
    if (text === '') return
    const last = this.#delta.taken.at(-1)
    if (last?.name === this.#name) last.text += text
    else this.#delta.taken.push({ name: this.#name, text })
  }
}

/** The whole arguments with these members taken out: what is left, and the text of each that was there. */
export function splitArguments(
  text: string,
  names: Iterable<string>,
): { rest: string; taken: Map<string, string> } {
  const stream = new ArgumentStream(names)
  const parts = [stream.push(text), stream.end()]
  const taken = new Map<string, string>()
  for (const part of parts.flatMap((p) => p.taken))
    taken.set(part.name, (taken.get(part.name) ?? '') + part.text)
  return { rest: parts.map((part) => part.rest).join(''), taken }
}

function decoded(quoted: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    return quoted
  }
}

/** What a complete escape sequence stands for; one that JSON does not know stands for itself. */
function unescaped(escape: string): string {
  try {
    return JSON.parse(`"${escape}"`) as string
  } catch {
    return escape
  }
}

import { StringDecoder } from 'node:string_decoder'

/** Largest event that is believed; a provider that sends no line end for so long is broken. */
const MAX_PENDING = 32 * 1024 * 1024

/** Cuts a byte stream into the `data` of server-sent events (WHATWG HTML 9.2.6); comments and other fields are dropped. */
export class SseReader {
  readonly #decoder = new StringDecoder('utf8')
  #pending = ''
  #data: string | null = null
  #first = true

  /** The events that these bytes complete, in order. Throws RangeError for an endless line. */
  push(bytes: Buffer): string[] {
    return this.#take(this.#decoder.write(bytes))
  }

  /** The event that was not closed by a blank line at the end of the stream, as many providers leave it. */
  end(): string[] {
    return this.#take(`${this.#decoder.end()}\n\n`)
  }

  #take(text: string): string[] {
    if (this.#first && text !== '') {
      this.#first = false
      if (text.startsWith('\uFEFF')) text = text.slice(1)
    }
    const events: string[] = []
    const all = this.#pending + text
    let start = 0
    for (;;) {
      let end = all.indexOf('\n', start)
      if (end < 0) break
      const next = end + 1
      if (end > start && all.charCodeAt(end - 1) === 13) end--
      if (end === start) {
        if (this.#data !== null) events.push(this.#data)
        this.#data = null
      } else if (all.startsWith('data:', start)) {
        const value = all.slice(all.charCodeAt(start + 5) === 32 ? start + 6 : start + 5, end)
        this.#data = this.#data === null ? value : `${this.#data}\n${value}`
      }
      start = next
    }
    this.#pending = all.slice(start)
    if (this.#pending.length + (this.#data?.length ?? 0) > MAX_PENDING) {
      throw new RangeError(`an event of more than ${MAX_PENDING} characters`)
    }
    return events
  }
}

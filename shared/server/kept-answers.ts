/** An answer as it was sent, with its times in ms since 1970. */
export interface KeptAnswer {
  body: Uint8Array<ArrayBuffer>
  content_type: string
  stored_at: number
  expires_at: number
}

/** Answers by key: so many, and so many bytes together; those that were asked for longest ago make room. */
export class KeptAnswers {
  readonly #most: { entries: number; bytes: number }
  /** The one that was asked for last comes last. */
  readonly #entries = new Map<string, KeptAnswer>()
  #bytes = 0

  constructor(most: { entries: number; bytes: number }) {
    this.#most = most
  }

  /** The answer, unless its time is over. */
  find(key: string, now: number): KeptAnswer | null {
    const found = this.#entries.get(key)
    if (!found) return null
    this.#remove(key, found)
    if (found.expires_at <= now) return null
    this.put(key, found)
    return found
  }

  /** Keeps an answer in place of the one that the key has. */
  put(key: string, answer: KeptAnswer): void {
    const before = this.#entries.get(key)
    if (before) this.#remove(key, before)
    this.#entries.set(key, answer)
    this.#bytes += answer.body.byteLength
    for (const [oldest, kept] of this.#entries) {
      if (this.#entries.size <= this.#most.entries && this.#bytes <= this.#most.bytes) return
      this.#remove(oldest, kept)
    }
  }

  #remove(key: string, { body }: KeptAnswer): void {
    this.#entries.delete(key)
    this.#bytes -= body.byteLength
  }
}

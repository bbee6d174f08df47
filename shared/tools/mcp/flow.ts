/** A moment's grace: so much may come at once. */
const BURST_SECONDS = 2

/** How fast something may come in: a bucket that fills at `per_second`. */
class Bucket {
  readonly #per_second: number
  #left: number
  #at = performance.now()

  constructor(per_second: number) {
    this.#per_second = per_second
    this.#left = per_second * BURST_SECONDS
  }

  /** Takes, and answers how many milliseconds to wait before more is taken. */
  take(amount: number): number {
    const now = performance.now()
    const most = this.#per_second * BURST_SECONDS
    this.#left = Math.min(most, this.#left + ((now - this.#at) / 1000) * this.#per_second) - amount
    this.#at = now
    return this.#left >= 0 ? 0 : (-this.#left / this.#per_second) * 1000
  }
}

/** What one server sends, kept to a rate: who floods waits, and nobody else does. */
export class Flow {
  readonly #messages: Bucket
  readonly #bytes: Bucket

  constructor(rates: { messages_per_second: number; bytes_per_second: number }) {
    this.#messages = new Bucket(rates.messages_per_second)
    this.#bytes = new Bucket(rates.bytes_per_second)
  }

  /** Milliseconds to wait before more is read. */
  take(amount: { messages: number; bytes: number }): number {
    return Math.max(this.#messages.take(amount.messages), this.#bytes.take(amount.bytes))
  }
}

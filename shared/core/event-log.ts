/**
 * A list that one writer appends to and any number of readers follow from its start. Readers get everything that
 * has come since they last looked in one batch, so a slow reader costs one wake-up, not one for each item.
 */
export class EventLog<T> {
  readonly #items: T[] = []
  #ended = false
  #waiting: (() => void)[] = []

  get length(): number {
    return this.#items.length
  }

  append(item: T): void {
    this.#items.push(item)
    this.#wake()
  }

  /** Nothing more will come; readers end after the last item. */
  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** All items from the first on, in batches, until the end; an abort ends the reading quietly. */
  async *follow(signal: AbortSignal): AsyncGenerator<readonly T[]> {
    let next = 0
    const onAbort = () => this.#wake()
    signal.addEventListener('abort', onAbort)
    try {
      while (!signal.aborted) {
        if (next < this.#items.length) {
          const batch = this.#items.slice(next)
          next = this.#items.length
          yield batch
        } else if (this.#ended) return
        else await new Promise<void>((resolve) => this.#waiting.push(resolve))
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #wake(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

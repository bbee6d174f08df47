/** Items after which neighbours are joined, and again when there are twice as many. */
const COMPACT_FROM = 5_000

interface Reader {
  next: number
}

/**
 * A list that one writer appends to and any number of readers follow from its start. Readers get everything that
 * has come since they last looked in one batch, so a slow reader costs one wake-up, not one for each item. A long list is
 * kept short by joining neighbours that readers have both behind them or both before them.
 */
export class EventLog<T> {
  #items: T[] = []
  readonly #join: (a: T, b: T) => T | null
  readonly #readers = new Set<Reader>()
  #compactAt = COMPACT_FROM
  #ended = false
  #waiting: (() => void)[] = []

  /** `join` makes one item of two that follow each other, or answers null for two that must stay apart. */
  constructor(join: (a: T, b: T) => T | null = () => null) {
    this.#join = join
  }

  get length(): number {
    return this.#items.length
  }

  append(item: T): void {
    this.#items.push(item)
    if (this.#items.length >= this.#compactAt) this.#compact()
    this.#wake()
  }

  /** Nothing more will come; readers end after the last item. */
  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** All items from the first on, in batches, until the end; an abort ends the reading quietly. */
  async *follow(signal: AbortSignal): AsyncGenerator<readonly T[]> {
    const reader: Reader = { next: 0 }
    this.#readers.add(reader)
    const onAbort = () => this.#wake()
    signal.addEventListener('abort', onAbort)
    try {
      while (!signal.aborted) {
        if (reader.next < this.#items.length) {
          const batch = this.#items.slice(reader.next)
          reader.next = this.#items.length
          yield batch
        } else if (this.#ended) return
        else await new Promise<void>((resolve) => this.#waiting.push(resolve))
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#readers.delete(reader)
    }
  }

  #compact(): void {
    const borders = new Set([...this.#readers].map((reader) => reader.next))
    const moved = new Map<number, number>()
    const items: T[] = []
    for (const [index, item] of this.#items.entries()) {
      const border = borders.has(index)
      if (border) moved.set(index, items.length)
      const last = items.at(-1)
      const joined = border || last === undefined ? null : this.#join(last, item)
      if (joined === null) items.push(item)
      else items[items.length - 1] = joined
    }
    moved.set(this.#items.length, items.length)
    this.#items = items
    for (const reader of this.#readers) reader.next = moved.get(reader.next) ?? reader.next
    this.#compactAt = Math.max(COMPACT_FROM, 2 * items.length)
  }

  #wake(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

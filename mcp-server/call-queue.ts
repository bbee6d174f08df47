/** Calls that work at the same time; what one reads may be as large as an agent's memory. */
const AT_ONCE = 8

/**
 * Lets calls work a few at a time, in the order they came, so that any number at once needs bounded memory. One for all
 * connections of a process.
 */
export class CallQueue {
  #free = AT_ONCE
  #held = false
  /** In order; those that were aside come before those that have not begun. */
  readonly #back = new Set<() => void>()
  readonly #waiting = new Set<() => void>()

  /** Runs `work` when it is its turn. Rejects, without having begun, when `signal` aborts before. */
  async run<T>(work: (slot: Slot) => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#enter(this.#waiting, signal)
    const slot: Slot = {
      aside: async (wait) => {
        this.#leave()
        try {
          return await wait()
        } finally {
          await this.#enter(this.#back)
        }
      },
    }
    try {
      signal.throwIfAborted()
      return await work(slot)
    } finally {
      this.#leave()
    }
  }

  /** No call begins until `release`: nobody reads what they answer. */
  hold(): void {
    this.#held = true
  }

  release(): void {
    this.#held = false
    this.#next()
  }

  async #enter(line: Set<() => void>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const turn = Promise.withResolvers<void>()
    // Not at once: a core in this process answers without ever waiting, and nobody else would be heard.
    const begin = () => void setImmediate(turn.resolve)
    const leave = () => {
      if (line.delete(begin)) turn.reject(signal?.reason as Error)
    }
    line.add(begin)
    signal?.addEventListener('abort', leave, { once: true })
    this.#next()
    await turn.promise.finally(() => signal?.removeEventListener('abort', leave))
  }

  #leave(): void {
    this.#free++
    this.#next()
  }

  #next(): void {
    while (this.#free > 0) {
      const line = this.#back.size > 0 ? this.#back : this.#held ? null : this.#waiting
      const [begin] = line ?? []
      if (!line || !begin) return
      line.delete(begin)
      this.#free--
      begin()
    }
  }
}

/** The place of a call that works. */
export interface Slot {
  /** Gives the place to others while this call only waits. */
  aside: <T>(wait: () => Promise<T>) => Promise<T>
}

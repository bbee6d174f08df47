/** Work that is done one after another where it has the same key. */
export class OneAtATime {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Does `work` when all that came before it under this key has ended, in whichever way. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    const mine = (before ?? Promise.resolve()).then(work, work)
    this.#last.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }
}

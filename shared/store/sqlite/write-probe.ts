import type { Database } from './database.ts'
import { unavailable } from './errors.ts'

/** For how long a write that succeeded speaks for the next ones: what asks all the time costs one write in this time. */
const GOOD_FOR_MS = 1_000
/** Who asks has less patience than a command that waits for a lock. */
const PATIENCE_MS = 2_000

/** Whether the database takes writes: found out by one, as a full disk, or a lock that is never let go, show no other way. */
export class WriteProbe {
  readonly #database: Database
  #written = -Infinity
  #writing: Promise<void> | null = null

  constructor(database: Database) {
    this.#database = database
  }

  /** Throws `store_unavailable` with what is in the way, after some seconds at most. */
  async check(): Promise<void> {
    if (performance.now() - this.#written < GOOD_FOR_MS) return
    this.#writing ??= this.#write()
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () =>
        late.reject(
          unavailable(
            `${this.#database.path} has taken no write for ${PATIENCE_MS / 1000} s: another process holds its lock, or the disk does not answer.`,
          ),
        ),
      PATIENCE_MS,
    )
    await Promise.race([this.#writing, late.promise]).finally(() => clearTimeout(timer))
  }

  async #write(): Promise<void> {
    try {
      await this.#database.write((tx) => {
        const version = Number(tx.statement('PRAGMA user_version').get()?.['user_version'])
        // The same value once more: a page is written, and nothing has changed.
        tx.database.exec(`PRAGMA user_version = ${version}`)
      })
      this.#written = performance.now()
    } finally {
      this.#writing = null
    }
  }
}

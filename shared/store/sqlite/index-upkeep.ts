import type { Database } from './database.ts'
import { indexMessages } from './message-index.ts'
import { inSlices } from './slices.ts'

/** Commits after which new messages are indexed together, and the segments of the indexes are looked at. */
const COMMITS = 32
const INDEXES = ['messages_fts', 'passages_fts'] as const
/** Nearly every commit adds to the first index; the second is looked at this much more seldom. */
const SELDOM = 2

/**
 * Indexes messages, and merges the segments of the full-text indexes, outside of anybody's commit (docs/decisions/0009
 * and 0012). FTS5's own `automerge` is off: it works inside a commit, for as long as it takes.
 */
export class IndexUpkeep {
  readonly #database: Database
  readonly #stopListening: () => void
  #commits = 0
  #runs = 0
  #running: Promise<void> | null = null
  #problem: unknown = null
  #closing = false

  constructor(database: Database) {
    this.#database = database
    this.#stopListening = database.onCommit(() => {
      this.#commits++
      if (this.#commits >= COMMITS) this.#running ??= this.#run()
    })
  }

  /** Throws what kept the last merge from being written. */
  check(): void {
    if (this.#problem !== null) throw this.#problem
  }

  /**
   * Begins nothing more; resolves when the slice under way has ended and what this process has written last is indexed.
   * To be called before the database is closed.
   */
  async close(): Promise<void> {
    const left = this.#commits > 0
    this.#closing = true
    this.#stopListening()
    await this.#running
    if (left) await this.#run()
  }

  async #run(): Promise<void> {
    try {
      await indexMessages(this.#database, () => this.#closing)
      const indexes = this.#runs++ % SELDOM === SELDOM - 1 ? INDEXES : INDEXES.slice(0, 1)
      if (!this.#closing) await mergeIndexes(this.#database, { indexes, stopped: () => this.#closing })
      this.#problem = null
    } catch (error) {
      // The indexes are right as they are; the next commits try again, and until then `check` says why not.
      this.#problem = error
    }
    this.#commits = 0
    this.#running = null
  }
}

/** Merges what is due in the full-text indexes, in short transactions; stops after any of them when told so. */
export async function mergeIndexes(
  database: Database,
  { indexes = INDEXES, stopped = () => false }: { indexes?: readonly string[]; stopped?: () => boolean } = {},
): Promise<void> {
  for (const index of indexes) {
    await inSlices(database, { first: 8, most: 64 }, (tx, pages) => {
      const merge = tx.statement(`INSERT INTO ${index} (${index}, rank) VALUES ('merge', ?)`)
      const changes = tx.statement('SELECT total_changes() AS n')
      const before = Number(changes.get()?.['n'])
      merge.run(pages)
      // The command itself counts as one change: sqlite.org/fts5.html#the_merge_command
      return Number(changes.get()?.['n']) - before > 1 && !stopped()
    })
  }
}

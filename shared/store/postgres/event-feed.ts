import { sql } from 'kysely'
import type { PostgresDatabase } from './database.ts'
import type { Session } from './session.ts'

/** How often events are looked for while somebody watches: in case a notification is lost, or where there are none. */
const POLL_MS = { listening: 2_000, alone: 250 }
/** Commits of this time are told of together, in milliseconds: NOTIFY makes commits wait for each other. */
const TELL_MS = 10
/** After this time events are looked for again that a transaction in progress keeps back, in milliseconds. */
const UNSETTLED_MS = 15

/** Wakes those who watch the events of a database: after commits of this process, and of others by LISTEN/NOTIFY. */
export class EventFeed {
  readonly #database: PostgresDatabase
  readonly #session: Session | null
  readonly #listeners = new Set<(problem: unknown) => void>()
  #last = -1
  #polling: NodeJS.Timeout | null = null
  #telling: NodeJS.Timeout | null = null
  #settling = false
  /** Something has changed since it was last asked whether all is settled. */
  #again = false
  #heard: NodeJS.Immediate | null = null

  /** Without a session it only looks. */
  constructor(database: PostgresDatabase, session: Session | null) {
    this.#database = database
    this.#session = session
  }

  follow(listener: (problem: unknown) => void): () => void {
    this.#listeners.add(listener)
    if (!this.#polling) {
      const every = this.#session ? POLL_MS.listening : POLL_MS.alone
      this.#polling = setInterval(() => void this.#look(), every).unref()
      // What happened before it listens is found by the look after it.
      void this.#listen().then(() => this.#look())
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      if (this.#polling) clearInterval(this.#polling)
      this.#polling = null
    }
  }

  /** A transaction of this process has written events. */
  committed(): void {
    this.wake()
    this.#telling ??= setTimeout(() => {
      this.#telling = null
      void this.#tell()
    }, TELL_MS).unref()
  }

  /** Others have told of new events; they may tell of very many at once. */
  heard(): void {
    this.#heard ??= setImmediate(() => {
      this.#heard = null
      this.wake()
    })
  }

  /** There may be new events. */
  wake(): void {
    if (this.#listeners.size === 0) return
    this.#call(null)
    this.#again = true
    if (!this.#settling) void this.#settle()
  }

  close(): void {
    if (this.#polling) clearInterval(this.#polling)
    if (this.#telling) clearTimeout(this.#telling)
    if (this.#heard) clearImmediate(this.#heard)
    this.#polling = null
    this.#telling = null
    this.#listeners.clear()
  }

  #call(problem: unknown): void {
    for (const listener of this.#listeners) listener(problem)
  }

  async #listen(): Promise<void> {
    // Where it cannot, it looks; the session comes back by itself.
    await this.#session?.listen().catch(() => undefined)
  }

  async #tell(): Promise<void> {
    // Others look from time to time, too.
    await this.#session?.notify().catch(() => undefined)
  }

  /** Wakes again until no transaction in progress keeps back events that are there already. */
  async #settle(): Promise<void> {
    this.#settling = true
    try {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, UNSETTLED_MS).unref())
        if (this.#listeners.size === 0) return
        this.#again = false
        const unsettled = await this.#database.read((c) =>
          c.get(sql`select 1 from events where xid >= pg_snapshot_xmin(pg_current_snapshot()) limit 1`),
        )
        this.#call(null)
        // What came while it was asked may be kept back, too.
        if (!unsettled && !this.#again) return
      }
    } catch {
      // The next look says what is wrong, or wakes them.
      this.#last = -1
    } finally {
      this.#settling = false
    }
  }

  async #look(): Promise<void> {
    if (this.#listeners.size === 0) return
    try {
      const row = await this.#database.read((c) =>
        c.get(sql<{ id: number | null }>`select max(id) as id from events`),
      )
      const id = row?.id ?? 0
      if (id !== this.#last) this.wake()
      this.#last = id
    } catch (error) {
      if (!this.#database.closed) this.#call(error)
    }
  }
}

import { sql } from 'kysely'
import type { Connection } from '../sql/database.ts'
import { db, query } from '../sql/query.ts'
import type { PostgresDatabase } from './database.ts'

/** What the ids of instances begin with that hold no lock. */
export const PREFIX = 'beat-'
/** Heartbeats in the time after which an instance counts as gone. */
const BEATS = 6
/** Looks at which a heart stood still: the first sight of its last beat comes before them. */
const STILL = BEATS - 1

const beatOf = query<{ id: string }>()((p) =>
  db.selectFrom('instances').select('heartbeat').where('id', '=', p.id),
)
const beating = query<object>()(() =>
  db
    .selectFrom('instances')
    .select(['id', 'heartbeat'])
    .where(sql<boolean>`id like ${sql.lit(`${PREFIX}%`)}`),
)

/** Whether the instance of this id shows by its heartbeat alone that it is there. */
export function isHeartbeat(id: string): boolean {
  return id.startsWith(PREFIX)
}

/**
 * Which hearts beat, as this process has seen it. One that stood still at so many looks, each of them answered, has
 * stopped: no clock is compared, and no time is counted in which the database, this process or the whole machine stood
 * still, too.
 */
export class Heartbeats {
  readonly #database: PostgresDatabase
  readonly #every: number
  readonly #seen = new Map<string, { beat: number; still: number }>()
  #timer: NodeJS.Timeout | null = null
  #looking = false
  #looked = -Infinity
  #stopped = false

  constructor(database: PostgresDatabase, stale_after_ms: number) {
    this.#database = database
    this.#every = stale_after_ms / BEATS
  }

  /** Milliseconds from one beat to the next, and from one look to the next. */
  get every(): number {
    return this.#every
  }

  async look(connection: Connection, id: string): Promise<'free' | 'beating'> {
    this.#timer ??= this.#stopped ? null : setInterval(() => void this.#lookAtAll(), this.#every).unref()
    const beat = (await beatOf.get(connection, { id }))?.heartbeat
    if (beat === undefined) return 'free'
    const seen = this.#seen.get(id)
    return seen?.beat === beat && seen.still >= STILL ? 'free' : 'beating'
  }

  remove(id: string): void {
    this.#seen.delete(id)
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
  }

  async #lookAtAll(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    try {
      const rows = await this.#database.read((c) => beating.all(c, {}))
      // Where nothing can be written no heart can beat.
      const away = this.#database.lostAt > this.#looked
      this.#looked = performance.now()
      const ids = new Set(rows.map(({ id }) => id))
      for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id)
      for (const { id, heartbeat: beat } of rows) {
        const seen = this.#seen.get(id)
        this.#seen.set(id, { beat, still: seen?.beat === beat && !away ? seen.still + 1 : 0 })
      }
    } catch {
      // A look without an answer does not count; who asks the database something is told what is wrong.
    } finally {
      this.#looking = false
    }
  }
}

import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { EventStore } from '../../core/ports/event-store.ts'
import type { Event, EventType } from '../../schema/event.ts'
import { pause } from '../pause.ts'
import type { Database } from './database.ts'
import { query, db, portable } from './query.ts'

/** Events read at once; a slow reader holds back only itself. */
const BATCH = 500
/** Watchers woken at once: each reads and answers for itself, and everybody else wants a turn between them. */
const WOKEN_AT_ONCE = 100
/** Retention: events older than this go, but never the newest thousands. */
const KEEP_DAYS = 7
const KEEP_NEWEST = 10_000

/**
 * The order of the feed is that of commits: what has been read is complete up to there. SQLite has one writer, so that is
 * the order of the ids. In PostgreSQL a row may come to light after one of a greater id: there the feed is in the order of
 * transactions, and shows those before which none is still at work.
 */
const settled = portable<boolean>({
  sqlite: sql`true`,
  postgres: sql`xid < pg_snapshot_xmin(pg_current_snapshot())`,
})
const upward = portable({ sqlite: sql`id`, postgres: sql`xid, id` })
const downward = portable({ sqlite: sql`id desc`, postgres: sql`xid desc, id desc` })

const newest = query<object>()(() =>
  db.selectFrom('events').select('id').where(settled).orderBy(downward).limit(1),
)
/** In the order of the feed the last one need not have the highest id. */
const range = query<object>()(() =>
  db.selectFrom('events').select((eb) => [eb.fn.min('id').as('first'), eb.fn.max('id').as('last')]),
)
const following = query<{ org: string; after: number }>()((p) =>
  db
    .selectFrom('events')
    .select(['id', 'type', 'object_id', 'agent_id', 'date'])
    .where('organization_id', '=', p.org)
    .where(
      portable<boolean>({
        sqlite: sql`id > ${p.after}`,
        postgres: sql`(xid, id) > (coalesce((select e.xid from events as e where e.id = ${p.after}), '0'::xid8), ${p.after})`,
      }),
    )
    .where(settled)
    .orderBy(upward)
    .limit(BATCH),
)

/** The events feed: rows written with each change, followed while somebody watches. */
export class SqlEvents implements EventStore {
  readonly #database: Database
  readonly #watchers = new Set<() => void>()
  #unfollow: (() => void) | null = null
  #problem: unknown = null
  #closed = false
  /** Watchers are being woken, and whether something has changed since that began. */
  #waking: { again: boolean } | null = null

  constructor(database: Database) {
    this.#database = database
  }

  reaches(after: number): Promise<boolean> {
    return this.#database.read(async (c) => {
      const { first, last } = (await range.get(c, {})) ?? {}
      return after <= (last ?? 0) && after >= (first ?? 0) - 1
    })
  }

  lastId(): Promise<number> {
    return this.#database.read(async (c) => (await newest.get(c, {}))?.id ?? 0)
  }

  async *watch(actor: Actor, after: number, { signal }: { signal: AbortSignal }): AsyncGenerator<Event> {
    let pending = true
    let wake = () => {}
    const changed = () => {
      pending = true
      wake()
    }
    this.#add(changed)
    signal.addEventListener('abort', changed)
    try {
      let last = after
      while (!signal.aborted && !this.#closed) {
        if (!pending) {
          await new Promise<void>((resolve) => {
            wake = resolve
            // It may have changed before this promise was made.
            if (pending || signal.aborted) resolve()
          })
          continue
        }
        if (this.#problem !== null) throw this.#problem
        pending = false
        const rows = await this.#database.read(
          async (c) => await following.all(c, { org: actor.organization_id, after: last }),
        )
        if (rows.length === BATCH) pending = true
        for (const row of rows) {
          if (signal.aborted) return
          last = row.id
          yield { ...row, type: row.type as EventType }
        }
      }
    } finally {
      signal.removeEventListener('abort', changed)
      this.#remove(changed)
    }
  }

  onChange(listener: () => void): () => void {
    // Several listeners may be one function.
    const changed = () => listener()
    this.#add(changed)
    return () => this.#remove(changed)
  }

  /** Drops events past their retention, a few at a time, until there are none or the store is closed. */
  async prune(): Promise<void> {
    const before = new Date(this.#database.now().getTime() - KEEP_DAYS * 86_400_000).toISOString()
    while (!this.#closed) {
      // Looked at first without the lock: at nearly every start there is nothing to do.
      const [ids, limit] = await this.#database.read(async (c) => {
        const limit = ((await newest.get(c, {}))?.id ?? 0) - KEEP_NEWEST
        const old = db.selectFrom('events').select('id').where('id', '<=', limit).where('date', '<', before)
        return [(await c.all(old.orderBy('id').limit(1000))).map((row) => row.id), limit] as const
      })
      const [first] = ids
      const last = ids.at(-1)
      if (first === undefined || last === undefined || limit <= 0) return
      await this.#database.write(
        async (tx) =>
          await tx.run(
            db
              .deleteFrom('events')
              .where('id', '>=', first)
              .where('id', '<=', last)
              .where('date', '<', before),
          ),
      )
      await pause(0)
    }
  }

  /** Ends every watch. */
  close(): void {
    this.#closed = true
    for (const changed of this.#watchers) changed()
    this.#stop()
  }

  #add(changed: () => void): void {
    this.#watchers.add(changed)
    if (this.#unfollow || this.#closed) return
    this.#problem = null
    this.#unfollow = this.#database.follow((problem) => {
      this.#problem = problem
      this.#wakeAll()
    })
  }

  #remove(changed: () => void): void {
    this.#watchers.delete(changed)
    if (this.#watchers.size === 0) this.#stop()
  }

  #stop(): void {
    this.#unfollow?.()
    this.#unfollow = null
  }

  #wakeAll(): void {
    if (this.#waking) this.#waking.again = true
    else this.#wakeFrom([...this.#watchers], 0)
  }

  #wakeFrom(watchers: readonly (() => void)[], first: number): void {
    const next = first + WOKEN_AT_ONCE
    for (const changed of watchers.slice(first, next)) if (this.#watchers.has(changed)) changed()
    if (next < watchers.length) {
      this.#waking ??= { again: false }
      setImmediate(() => this.#wakeFrom(watchers, next))
      return
    }
    const again = this.#waking?.again ?? false
    this.#waking = null
    if (again) this.#wakeAll()
  }
}

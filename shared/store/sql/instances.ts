import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Database, Transaction } from './database.ts'
import { isBusy } from './errors.ts'
import { makePrivate } from './private-file.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'

/** Heartbeats in the time after which a heart that stands still counts as dead. */
const BEATS = 6
/** A lock file without a row may belong to a process that is just starting. */
const ORPHAN_AGE_MS = 60_000

const beat = query<{ id: string; now: string }>()((p) =>
  db
    .updateTable('instances')
    .set((eb) => ({ heartbeat: eb('heartbeat', '+', 1), heartbeat_at: p.now }))
    .where('id', '=', p.id),
)
const heartbeatOf = query<{ id: string }>()((p) =>
  db.selectFrom('instances').select('heartbeat').where('id', '=', p.id),
)

/**
 * This process as others see it. It is alive while it holds an exclusive lock on `instances/<id>.db`, which ends with
 * the process however it dies. A process that is stopped or hangs keeps its lock: it counts as gone once its
 * heartbeat has stood still for `stale_after_ms` of *our* monotonic clock, so that neither a jump of the wall clock
 * nor the sleep of the whole machine takes a conversation from anybody.
 */
export class Instance {
  readonly id = crypto.randomUUID()
  readonly #database: Database
  readonly #version: string
  readonly #staleAfter: number
  readonly #seen = new Map<string, { heartbeat: number; since: number }>()
  #lock: DatabaseSync | null = null
  #registered = false
  #timer: NodeJS.Timeout | null = null
  readonly #leases = new Set<string>()
  #problem: unknown = null

  constructor(database: Database, options: { version: string; stale_after_ms: number }) {
    this.#database = database
    this.#version = options.version
    this.#staleAfter = options.stale_after_ms
  }

  /** Takes the lock file; before the first lease only, so that a process that just reads leaves no trace. */
  lock(): void {
    if (this.#lock) return
    makePrivate(this.#file(this.id))
    const lock = new DatabaseSync(this.#file(this.id), { timeout: 2_000 })
    try {
      lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    } catch (error) {
      lock.close()
      throw error
    }
    this.#lock = lock
  }

  /** In the transaction that takes a lease: registers this instance, and shows it alive if it was idle. */
  async register(tx: Transaction): Promise<void> {
    const now = new Date().toISOString()
    if (this.#registered && this.#leases.size > 0) return
    if (!this.#registered || (await beat.run(tx, { id: this.id, now })).changes === 0)
      await this.#insert(tx, now)
    tx.alongside(
      () => {
        this.#registered = true
      },
      () => {
        this.#registered = false
      },
    )
  }

  /** A turn of this instance began; the heart beats while there is one. */
  leaseTaken(run_id: string): void {
    this.#leases.add(run_id)
    this.#timer ??= setInterval(() => void this.#beat(), this.#staleAfter / BEATS).unref()
  }

  /** A turn of this instance ended, or lost its lease. */
  leaseReleased(run_id: string): void {
    this.#leases.delete(run_id)
    if (this.#leases.size > 0 || !this.#timer) return
    clearInterval(this.#timer)
    this.#timer = null
  }

  /** Whether this process still works on the run. */
  holds(run_id: string): boolean {
    return this.#leases.has(run_id)
  }

  /** The runs that this process works on. */
  held(): string[] {
    return [...this.#leases]
  }

  /** Whether the instance may still be working: `dead` has lost its lock, `stale` keeps it but stands still. */
  async stateOf(connection: Connection, id: string): Promise<'alive' | 'dead' | 'stale'> {
    if (id === this.id) return 'alive'
    if (!this.#isLocked(id)) return 'dead'
    const heartbeat = (await heartbeatOf.get(connection, { id }))?.heartbeat
    if (heartbeat === undefined) return 'alive'
    const now = performance.now()
    const seen = this.#seen.get(id)
    if (seen?.heartbeat !== heartbeat) {
      this.#seen.set(id, { heartbeat, since: now })
      return 'alive'
    }
    return now - seen.since > this.#staleAfter ? 'stale' : 'alive'
  }

  /** Removes the lock file of a dead instance. */
  removeFile(id: string): void {
    this.#seen.delete(id)
    for (const suffix of ['', '-journal']) rmSync(this.#file(id) + suffix, { force: true })
  }

  /** Lock files that no row knows, of processes that died before they registered. */
  removeOrphans(known: ReadonlySet<string>): void {
    for (const name of readdirSync(join(this.#database.directory, 'instances'))) {
      const id = name.endsWith('.db') ? name.slice(0, -'.db'.length) : null
      if (id === null || id === this.id || known.has(id)) continue
      const stat = statSync(this.#file(id), { throwIfNoEntry: false })
      if (stat && Date.now() - stat.mtimeMs > ORPHAN_AGE_MS && !this.#isLocked(id)) this.removeFile(id)
    }
  }

  /** Throws what kept the last heartbeat from being written. */
  check(): void {
    if (this.#problem !== null) throw this.#problem
  }

  /** Stops the heart and lets the lock go: turns that are still open are those of a dead instance from now on. */
  close(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    if (!this.#lock) return
    this.#lock.close()
    this.#lock = null
    this.removeFile(this.id)
  }

  #file(id: string): string {
    return join(this.#database.directory, 'instances', `${id}.db`)
  }

  #isLocked(id: string): boolean {
    const file = this.#file(id)
    if (!existsSync(file)) return false
    let probe: DatabaseSync | undefined
    try {
      probe = new DatabaseSync(file, { timeout: 0, readOnly: true })
      probe.prepare('SELECT count(*) FROM sqlite_schema').get()
      return false
    } catch (error) {
      if (isBusy(error)) return true
      // Removed by another process between the two looks: its owner is gone.
      if (!existsSync(file)) return false
      throw error
    } finally {
      probe?.close()
    }
  }

  async #beat(): Promise<void> {
    const now = new Date().toISOString()
    try {
      await this.#database.write(async (tx) => {
        if ((await beat.run(tx, { id: this.id, now })).changes === 0) await this.#insert(tx, now)
      })
      this.#problem = null
    } catch (error) {
      // The next beat tries again; until one succeeds, `check` says why not.
      this.#problem = error
    }
  }

  async #insert(tx: Transaction, now: string): Promise<void> {
    await tx.run(
      db
        .insertInto('instances')
        .values({
          id: this.id,
          version: this.#version,
          pid: process.pid,
          started_at: now,
          heartbeat: 1,
          heartbeat_at: now,
        })
        .onConflict((conflict) => conflict.doNothing()),
    )
  }
}

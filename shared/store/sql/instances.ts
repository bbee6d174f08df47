import type { FinishRun } from '../../core/ports/turn-store.ts'
import type { Database, InstanceLocks, Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'

/** Heartbeats in the time after which a heart that stands still counts as dead. */
const BEATS = 6
/** The part of that time after which a process that stood still looks whether it still has what it held. */
const NEARLY = 0.5

const beat = query<{ id: string; now: string; version: string; pid: number }>()((p) =>
  db
    .insertInto('instances')
    .values({
      id: p.id,
      version: p.version,
      pid: p.pid,
      started_at: p.now,
      heartbeat: 1,
      heartbeat_at: p.now,
    })
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet((eb) => ({ heartbeat: eb('instances.heartbeat', '+', 1), heartbeat_at: p.now })),
    ),
)
const heartbeatOf = query<{ id: string }>()((p) =>
  db.selectFrom('instances').select('heartbeat').where('id', '=', p.id),
)

/**
 * This process as others see it. It is alive while it holds its lock (`InstanceLocks`), which ends with the process however
 * it dies. A process that is stopped or hangs keeps its lock: it counts as gone once its
 * heartbeat has stood still for `stale_after_ms` of *our* monotonic clock, so that neither a jump of the wall clock
 * nor the sleep of the whole machine takes a conversation from anybody. Where no lock can be had, the heartbeat is all
 * there is (`InstanceLocks.beats`).
 */
export class Instance {
  readonly id: string
  readonly #database: Database
  readonly #version: string
  readonly #staleAfter: number
  readonly #seen = new Map<string, { heartbeat: number; since: number }>()
  readonly #locks: InstanceLocks
  #registered = false
  #timer: NodeJS.Timeout | null = null
  #pulse: NodeJS.Timeout | null = null
  /** When this process was last seen to run, while it holds something. */
  #awake = 0
  #standstills = 0
  readonly #leases = new Map<string, { epoch: number; shown: boolean }>()
  #problem: unknown = null
  /** How runs that this process works on no more were to end, where that could not be written. */
  readonly ends = new Map<string, FinishRun>()

  constructor(
    database: Database,
    locks: InstanceLocks,
    options: { version: string; stale_after_ms: number },
  ) {
    this.#database = database
    this.#locks = locks
    this.id = locks.newId()
    this.#version = options.version
    this.#staleAfter = options.stale_after_ms
  }

  /** Takes the lock; before the first lease only, so that a process that just reads leaves no trace. */
  async lock(): Promise<void> {
    await this.#locks.take(this.id)
  }

  /** In the transaction that takes a lease: registers this instance, and shows it alive if it was idle. */
  async register(tx: Transaction): Promise<void> {
    if (this.#locks.beats || (this.#registered && this.#leases.size > 0)) return
    await this.#beatIn(tx)
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
  leaseTaken(run_id: string, epoch = 0): void {
    this.#leases.set(run_id, { epoch, shown: false })
    if (!this.#pulse) {
      this.#awake = performance.now()
      this.#pulse = setInterval(() => void this.standstills(), this.#staleAfter / BEATS).unref()
    }
    if (this.#locks.beats) return
    this.#timer ??= setInterval(() => void this.#beat(), this.#staleAfter / BEATS).unref()
  }

  /** The lease is committed: whoever looks from now on finds its rows. */
  leaseShown(run_id: string, epoch: number): void {
    const lease = this.#leases.get(run_id)
    if (lease?.epoch === epoch) lease.shown = true
  }

  /**
   * A turn of this instance ended, or lost its lease; one that this instance has taken again meanwhile, under another
   * `epoch`, stays.
   */
  leaseReleased(run_id: string, epoch = 0): void {
    if (this.#leases.get(run_id)?.epoch !== epoch) return
    this.#leases.delete(run_id)
    if (this.#leases.size > 0) return
    this.#endPulse()
    if (!this.#timer) return
    clearInterval(this.#timer)
    this.#timer = null
    // No heart beats any more that could be well again.
    this.#problem = null
  }

  /** How often this process has stood still, while it held something, for so long that others may have taken it. */
  standstills(): number {
    const now = performance.now()
    if (this.#pulse && now - this.#awake > this.#staleAfter * NEARLY) this.#standstills++
    this.#awake = now
    return this.#standstills
  }

  #endPulse(): void {
    if (this.#pulse) clearInterval(this.#pulse)
    this.#pulse = null
  }

  /** Whether this process still works on the run. */
  holds(run_id: string): boolean {
    return this.#leases.has(run_id)
  }

  /** The runs that this process works on, whose rows are there to be read. */
  held(): string[] {
    return [...this.#leases].flatMap(([run_id, { shown }]) => (shown ? [run_id] : []))
  }

  /** Whether the instance may still be working: `dead` has lost its lock, `stale` keeps it but stands still. */
  async stateOf(connection: Connection, id: string): Promise<'alive' | 'dead' | 'stale'> {
    if (id === this.id) return 'alive'
    const lock = await this.#locks.look(connection, id)
    if (lock !== 'held') return lock === 'free' ? 'dead' : 'alive'
    const heartbeat = (await heartbeatOf.get(connection, { id }))?.heartbeat
    if (heartbeat === undefined) return 'alive'
    const now = performance.now()
    const seen = this.#seen.get(id)
    if (seen?.heartbeat !== heartbeat) {
      this.#seen.set(id, { heartbeat, since: now })
      return 'alive'
    }
    // While the store was away, or took no writes, no heart could be seen.
    return now - Math.max(seen.since, this.#database.lostAt) > this.#staleAfter ? 'stale' : 'alive'
  }

  /** `stateOf`, asked once for each instance: for looking at many rows. */
  states(connection: Connection): (id: string) => Promise<'alive' | 'dead' | 'stale'> {
    const known = new Map<string, Promise<'alive' | 'dead' | 'stale'>>()
    return (id) => {
      const state = known.get(id) ?? this.stateOf(connection, id)
      known.set(id, state)
      return state
    }
  }

  /** Removes what a dead instance has left. */
  remove(id: string): void {
    this.#seen.delete(id)
    this.#locks.remove(id)
  }

  /** Removes what instances have left that no row knows: they died before they registered. */
  async removeOrphans(known: ReadonlySet<string>): Promise<void> {
    await this.#locks.removeOrphans(new Set([...known, this.id]))
  }

  /** Throws what kept the last heartbeat from being written. */
  check(): void {
    if (this.#problem !== null) throw this.#problem
    this.#locks.check()
  }

  /** Stops the heart and lets the lock go: turns that are still open are those of a dead instance from now on. */
  async close(): Promise<void> {
    this.#endPulse()
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    await this.#locks.release(this.id)
  }

  async #beat(): Promise<void> {
    try {
      await this.#database.write((tx) => this.#beatIn(tx))
      this.#problem = null
    } catch (error) {
      // The next beat tries again; until one succeeds, `check` says why not.
      if (this.#timer) this.#problem = error
    }
  }

  async #beatIn(tx: Transaction): Promise<void> {
    const now = new Date().toISOString()
    await beat.send(tx, { id: this.id, now, version: this.#version, pid: process.pid })
  }
}

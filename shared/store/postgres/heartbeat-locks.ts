import type { Connection, InstanceLocks } from '../sql/database.ts'
import { db } from '../sql/query.ts'
import type { PostgresDatabase } from './database.ts'
import { asStoreError, isLost } from './errors.ts'
import { isHeartbeat, type Heartbeats, PREFIX } from './heartbeats.ts'
import { LockWatch } from './lock-watch.ts'

const BEAT = `INSERT INTO instances (id, version, pid, started_at, heartbeat, heartbeat_at)
  VALUES ($1, $2, $3, $4, (extract(epoch from clock_timestamp()) * 1000)::bigint, $4)
  ON CONFLICT (id) DO UPDATE SET heartbeat = instances.heartbeat + 1, heartbeat_at = excluded.heartbeat_at`

/** Instances that are there as long as their hearts beat, where no connection stays that could hold a lock. */
export class HeartbeatLocks implements InstanceLocks {
  readonly beats = true
  readonly #database: PostgresDatabase
  readonly #heartbeats: Heartbeats
  readonly #version: string
  readonly #watch = new LockWatch()
  #timer: NodeJS.Timeout | null = null
  /** When the last beat began that others have seen. */
  #beaten = -Infinity
  #beating: Promise<void> | null = null
  #problem: unknown = null

  constructor(database: PostgresDatabase, heartbeats: Heartbeats, version: string) {
    this.#database = database
    this.#heartbeats = heartbeats
    this.#version = version
  }

  newId(): string {
    return PREFIX + crypto.randomUUID()
  }

  async take(id: string): Promise<void> {
    // After a long silence others may have given this process up: nothing begins before they see it again.
    if (performance.now() - this.#beaten > 2 * this.#heartbeats.every) await this.#beat(id)
    this.#timer ??= setInterval(() => {
      void this.#beat(id).catch(() => undefined)
    }, this.#heartbeats.every).unref()
  }

  async look(connection: Connection, id: string): Promise<'free' | 'held' | 'beating'> {
    if (isHeartbeat(id)) return await this.#heartbeats.look(connection, id)
    return (await this.#watch.isFree(connection, id)) ? 'free' : 'held'
  }

  check(): void {
    if (this.#problem !== null) throw this.#problem
  }

  remove(id: string): void {
    this.#watch.forget(id)
    this.#heartbeats.remove(id)
  }

  async removeOrphans(): Promise<void> {
    // There are none.
  }

  async release(id: string): Promise<void> {
    this.#heartbeats.stop()
    if (!this.#timer) return
    clearInterval(this.#timer)
    this.#timer = null
    await this.#beating?.catch(() => undefined)
    await this.#database.write((tx) => tx.run(db.deleteFrom('instances').where('id', '=', id)))
  }

  /** One at a time. */
  #beat(id: string): Promise<void> {
    this.#beating ??= this.#beatNow(id).finally(() => {
      this.#beating = null
    })
    return this.#beating
  }

  async #beatNow(id: string): Promise<void> {
    const began = performance.now()
    try {
      await this.#database.session.run(BEAT, [id, this.#version, process.pid, new Date().toISOString()])
      this.#beaten = began
      this.#problem = null
    } catch (error) {
      if (isLost(error)) this.#database.lostAt = performance.now()
      this.#problem = asStoreError(error, this.#database.place)
      throw error
    }
  }
}

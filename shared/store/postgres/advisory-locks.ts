import type { Connection, InstanceLocks } from '../sql/database.ts'
import { db } from '../sql/query.ts'
import type { PostgresDatabase } from './database.ts'
import { isHeartbeat, type Heartbeats } from './heartbeats.ts'
import { LockWatch, numberOf } from './lock-watch.ts'

/** Locks of instances as advisory locks, which end with the connection of the process that holds them. */
export class AdvisoryLocks implements InstanceLocks {
  readonly beats = false
  readonly #database: PostgresDatabase
  readonly #heartbeats: Heartbeats
  #taken: Promise<void> | null = null
  readonly #watch = new LockWatch()

  /** `heartbeats` are those of instances that can hold no lock. */
  constructor(database: PostgresDatabase, heartbeats: Heartbeats) {
    this.#database = database
    this.#heartbeats = heartbeats
  }

  newId(): string {
    return crypto.randomUUID()
  }

  take(id: string): Promise<void> {
    // Who begins without it would be taken for dead.
    return (this.#taken = this.#database.session.hold(numberOf(id)))
  }

  async look(connection: Connection, id: string): Promise<'free' | 'held' | 'beating'> {
    if (isHeartbeat(id)) return await this.#heartbeats.look(connection, id)
    return (await this.#watch.isFree(connection, id)) ? 'free' : 'held'
  }

  check(): void {
    this.#database.session.check()
  }

  remove(id: string): void {
    this.#watch.forget(id)
    this.#heartbeats.remove(id)
  }

  async removeOrphans(): Promise<void> {
    // There are none: a lock ends with its connection.
  }

  async release(id: string): Promise<void> {
    this.#heartbeats.stop()
    if (!this.#taken) return
    await this.#taken.catch(() => undefined)
    // Without its row nobody waits for it to come back.
    await this.#database.write((tx) => tx.run(db.deleteFrom('instances').where('id', '=', id)))
  }
}

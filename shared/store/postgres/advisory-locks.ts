import { sql } from 'kysely'
import type { Connection, InstanceLocks } from '../sql/database.ts'
import { db } from '../sql/query.ts'
import type { PostgresDatabase } from './database.ts'
import { isHeartbeat, type Heartbeats } from './heartbeats.ts'

/** After its start a database gives its instances this time, in seconds, to come back with their locks. */
const GRACE_SECONDS = 10

/** Locks of instances as advisory locks, which end with the connection of the process that holds them. */
export class AdvisoryLocks implements InstanceLocks {
  readonly beats = false
  readonly #database: PostgresDatabase
  readonly #heartbeats: Heartbeats
  #taken: Promise<void> | null = null

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
    return (await isLocked(connection, id)) ? 'held' : 'free'
  }

  check(): void {
    this.#database.session.check()
  }

  remove(id: string): void {
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

/** Whether an instance holds its lock, which anybody can see, also through a pooler. */
export async function isLocked(connection: Connection, id: string): Promise<boolean> {
  const number = numberOf(id)
  const row = await connection.get(
    sql<{ held: boolean }>`select exists (
          select 1 from pg_locks where locktype = 'advisory' and objsubid = 1 and granted
            and database = (select oid from pg_database where datname = current_database())
            and classid::bigint = ${String(number >> 32n)}::bigint
            and objid::bigint = ${String(number & 0xffffffffn)}::bigint
        ) or (
          pg_postmaster_start_time() > clock_timestamp() - make_interval(secs => ${GRACE_SECONDS})
          and exists (select 1 from instances where id = ${id})
        ) as held`,
  )
  return row?.held ?? false
}

/** 62 bits of a UUID, which no other lock of Loci has: theirs are small. */
function numberOf(id: string): bigint {
  return BigInt(`0x${id.replaceAll('-', '').slice(0, 16)}`) & 0x3fffffffffffffffn
}

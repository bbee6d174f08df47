import { sql } from 'kysely'
import { pause } from '../pause.ts'
import type { Connection } from '../sql/database.ts'
import { db, query } from '../sql/query.ts'

/** After its start a database gives its instances this time, in seconds, to come back with their locks. */
const GRACE_SECONDS = 10

/**
 * A lock that is free so long is that of a process that has ended, in milliseconds: one whose connections were cut comes back
 * with it sooner.
 */
const FREE_MS = 1_000
/** How often it is looked at meanwhile, in milliseconds. */
const LOOK_MS = 100
/** What was seen longer ago says nothing of now, in milliseconds. */
const SEEN_MS = 5_000

const rowOf = query<{ id: string }>()((p) => db.selectFrom('instances').select('id').where('id', '=', p.id))

/** The locks of other instances as this process sees them, wherever they hold them. */
export class LockWatch {
  /** Since when they were seen to be free, and when last. */
  readonly #free = new Map<string, { since: number; last: number }>()

  /** Whether an instance has ended: its lock is free, and stays so. Waits for that as long as it has to. */
  async isFree(connection: Connection, id: string): Promise<boolean> {
    if (!(await this.#look(connection, id))) return false
    // Who ended in good order has no row any more.
    if (!(await rowOf.get(connection, { id }))) return true
    while (performance.now() < (this.#free.get(id)?.since ?? 0) + FREE_MS) {
      await pause(LOOK_MS)
      if (!(await this.#look(connection, id))) return false
    }
    return true
  }

  /** Nobody asks for this instance any more. */
  forget(id: string): void {
    this.#free.delete(id)
  }

  async #look(connection: Connection, id: string): Promise<boolean> {
    if (await isLocked(connection, id)) {
      this.#free.delete(id)
      return false
    }
    const now = performance.now()
    const seen = this.#free.get(id)
    const since = seen && now - seen.last < SEEN_MS ? seen.since : now
    this.#free.set(id, { since, last: now })
    return true
  }
}

/** Whether an instance holds its lock, which anybody can see, also through a pooler. */
async function isLocked(connection: Connection, id: string): Promise<boolean> {
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
export function numberOf(id: string): bigint {
  return BigInt(`0x${id.replaceAll('-', '').slice(0, 16)}`) & 0x3fffffffffffffffn
}

import { sql } from 'kysely'
import { messageOf } from '../../schema/errors.ts'
import type { Transaction } from '../sql/database.ts'
import { unavailable } from '../sql/errors.ts'
import { db } from '../sql/query.ts'
import type { PostgresDatabase } from './database.ts'
import { READ_ONLY } from './errors.ts'
import { UNFIT_TABLES, type UnfitTables, unfitTables } from './own-tables.ts'

/** For how long a write that succeeded speaks for the next ones: what asks all the time costs one write in this time. */
const GOOD_FOR_MS = 1_000
/** Who asks has less patience than a command that waits for the database to come back. */
const PATIENCE_MS = 2_000
/** Characters that are written, and taken back, to see whether a full disk has room again: some pages of a table. */
const FILLING = 100_000

/** Whether the database takes writes: found out by one, as a replica or a full disk show no other way. */
export class WriteProbe {
  readonly #database: PostgresDatabase
  #written = -Infinity
  #writing: Promise<void> | null = null

  constructor(database: PostgresDatabase) {
    this.#database = database
  }

  /** Throws `store_unavailable` or `store_newer` with what is in the way, after some seconds at most. */
  async check(): Promise<void> {
    if (!this.#database.full && performance.now() - this.#written < GOOD_FOR_MS) return
    this.#writing ??= this.#write()
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const problem = this.#database.problem
      late.reject(
        unavailable(
          `The database ${this.#database.place} has taken no write for ${PATIENCE_MS / 1000} s` +
            (problem === null ? ': it does not answer.' : `: ${messageOf(problem)}`),
          problem,
        ),
      )
    }, PATIENCE_MS)
    await Promise.race([this.#writing, late.promise]).finally(() => clearTimeout(timer))
  }

  async #write(): Promise<void> {
    try {
      const { full } = this.#database
      // Every write has a number of its own, which is in the log of the database with its commit.
      await this.#database.write(async (tx) => {
        const row = await tx.get(
          sql<
            UnfitTables & { writable: boolean }
          >`select current_setting('transaction_read_only') = 'off' as writable,
            ${sql.raw(UNFIT_TABLES)}`,
        )
        if (!row?.writable)
          throw unavailable(`The database ${this.#database.place} cannot be used: ${READ_ONLY}`)
        const unfit = unfitTables(row)
        if (unfit !== null)
          throw unavailable(
            `The database ${this.#database.place} cannot be used: ${unfit.message}. To mend it, ${unfit.mend}.`,
          )
        if (full) await fill(tx)
      })
      this.#database.full = false
      this.#written = performance.now()
    } finally {
      this.#writing = null
    }
  }
}

/** Makes a table grow, and takes it back. */
async function fill(tx: Transaction): Promise<void> {
  const key = `room ${crypto.randomUUID()}`
  await tx.run(
    sql`insert into meta (key, value)
      select ${key}, string_agg(md5(random()::text), '') from generate_series(1, ${FILLING / 32})`,
  )
  await tx.run(db.deleteFrom('meta').where('key', '=', key))
}

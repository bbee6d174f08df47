import { sql } from 'kysely'
import { messageOf } from '../../schema/errors.ts'
import { pause } from '../pause.ts'
import type { Transaction } from '../sql/database.ts'
import { CLAIMS } from '../sql/unless-taken.ts'
import { vectorOf } from '../vector-math.ts'
import type { PostgresDatabase } from './database.ts'

/** Vectors that enter pgvector in one transaction. */
const ROWS = 100
/** How often it is told how far it is, in milliseconds. */
const TOLD_MS = 60_000
/** After a failure it begins again with the next search, but not before, in milliseconds. */
const RETRY_MS = 60_000

/**
 * Brings vectors that were stored without pgvector into its type, in the background: a server did that before the extension
 * was switched on, or does so still beside this one. Several servers share the work, and each begins where it was left.
 */
export class VectorFill {
  readonly #database: PostgresDatabase
  readonly #onNotice: ((sentence: string) => void) | undefined
  #working = false
  /** The transaction under way. */
  #filling: Promise<unknown> = Promise.resolve()
  #notBefore = 0
  #closed = false

  /** `onNotice` hears how far it is, in sentences, when there is anything to do. */
  constructor(database: PostgresDatabase, onNotice?: (sentence: string) => void) {
    this.#database = database
    this.#onNotice = onNotice
  }

  /** Begins, unless it is at work. */
  start(): void {
    if (this.#closed || this.#working || performance.now() < this.#notBefore) return
    this.#working = true
    void this.#work().finally(() => {
      this.#working = false
    })
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#closed = true
    // Why it fails is told by who began it.
    await this.#filling.catch(() => undefined)
  }

  async #work(): Promise<void> {
    const { place } = this.#database
    try {
      const there = sql<{ there: boolean }>`select to_regclass('vectors_to_fill') is not null as there`
      if ((await this.#database.read((c) => c.get(there)))?.there !== true)
        await this.#database.write((tx) => indexVectorsToFill(tx))
      const count = sql<{ n: number }>`select count(*) as n from vectors where embedding is null`
      const left = async () => (await this.#database.read((c) => c.get(count)))?.n ?? 0
      const all = await left()
      if (all === 0) return
      let told = -TOLD_MS
      for (let done = 0, rows = -1; rows !== 0 && !this.#closed; await pause(0)) {
        const filling = this.#fill()
        this.#filling = filling
        rows = await filling
        done += rows
        if (rows === 0 || performance.now() - told < TOLD_MS) continue
        told = performance.now()
        this.#onNotice?.(
          `Vectors in the database ${place} that were stored without pgvector are brought into it, in the background: ` +
            `${done} of ${all}. Searches find them meanwhile.`,
        )
      }
      // Others may still be at it.
      if (told >= 0 && !this.#closed && (await left()) === 0)
        this.#onNotice?.(`All vectors in the database ${place} are in pgvector.`)
    } catch (error) {
      if (this.#closed) return
      this.#notBefore = performance.now() + RETRY_MS
      this.#onNotice?.(
        `Vectors in the database ${place} could not be brought into pgvector: ${messageOf(error)} Searches find them all the ` +
          'same, and it is tried again with one of them.',
      )
    }
  }

  /** Answers how many: those that nobody else is filling. */
  async #fill(): Promise<number> {
    return await this.#database.write(async (tx) => {
      const rows = await tx.all(
        sql<{ id: number; vector: Uint8Array }>`select id, vector from vectors where embedding is null
          order by owner, id limit ${sql.lit(ROWS)} for update skip locked`,
      )
      if (rows.length === 0) return 0
      const texts = rows.map(({ vector }) => `[${vectorOf(vector).join(',')}]`)
      return await tx.run(
        sql`update vectors set embedding = filled.text::vector
          from unnest(${rows.map(({ id }) => id)}::bigint[], ${texts}::text[]) as filled (id, text)
          where vectors.id = filled.id`,
      )
    }, CLAIMS)
  }
}

/** What is left to be filled is found at once, also among a million. One process makes the index, and others wait. */
export async function indexVectorsToFill(tx: Transaction): Promise<void> {
  await tx.get(sql`select pg_advisory_xact_lock(hashtext('loci'), 0)`)
  await tx.run(sql`create index if not exists vectors_to_fill on vectors (owner, id) where embedding is null`)
}

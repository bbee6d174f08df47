import { sql } from 'kysely'
import { messageOf } from '../../schema/errors.ts'
import type { Connection, Transaction } from '../sql/database.ts'
import { type Near, SignIndex, type VectorIndex } from '../sql/vector-index.ts'
import type { VectorOwner } from '../sql/vector-owners.ts'
import { bytesOf, unit } from '../vector-math.ts'
import type { PostgresDatabase } from './database.ts'
import { asStoreError, isForbidden } from './errors.ts'
import { indexVectorsToFill, VectorFill } from './vector-fill.ts'

/** Numbers of a vector that pgvector has an index for; longer ones are compared one by one. */
export const MOST_INDEXED = 2_000
/** Vectors whose index a search waits for, a second or so; among more it compares all of them until that is there. */
const SOON = 2_000
/** After this time an index that could not be made is tried again, in milliseconds. */
const RETRY_MS = 600_000
/** How many of the index's candidates a search looks at: more find more of what is nearest, and take longer. */
const EF_SEARCH = 100

/**
 * Vectors in pgvector's own type, found through an HNSW index for each length. An owner with few of them is compared one
 * by one, which PostgreSQL decides; of one among many others the index is read on until there are enough of its own. What
 * was stored without pgvector is compared as it was then, until it has been brought there.
 */
export class PgVectors implements VectorIndex {
  readonly #database: PostgresDatabase
  readonly #onNotice: ((sentence: string) => void) | undefined
  readonly #indexed = new Map<number, Promise<void>>()
  /** Lengths whose missing index the operator has been told of. */
  readonly #told = new Set<number>()
  readonly #fill: VectorFill
  /** Finds what is not in pgvector's type; null when there is nothing. */
  #signs: SignIndex | null = null

  /** `onNotice` hears once of each index that cannot be made, and of vectors that are brought into pgvector. */
  constructor(database: PostgresDatabase, onNotice?: (sentence: string) => void) {
    this.#database = database
    this.#onNotice = onNotice
    this.#fill = new VectorFill(database, onNotice)
    this.#fill.start()
  }

  /** Resolves when nothing is written any more. */
  close(): Promise<void> {
    return this.#fill.close()
  }

  async put(
    tx: Transaction,
    { owner, generation, seq, direction }: Parameters<VectorIndex['put']>[1],
  ): Promise<void> {
    await tx.send(
      sql`insert into vectors (owner, generation, seq, bits, vector, embedding)
        values (${owner}, ${generation}, ${seq}, ''::bytea, ${bytesOf(direction)}, ${textOf(direction)}::vector)
        on conflict do nothing`,
    )
  }

  async nearest(
    target: VectorOwner,
    direction: Float32Array,
    limit: number,
    among: ReadonlySet<number> | null,
  ): Promise<Near[]> {
    const { owner, generation, dim } = target
    await this.#ensureIndex(dim)
    const type = sql.raw(`vector(${dim})`)
    const distance = sql`embedding::${type} <=> ${textOf(unit(direction))}::${type}`
    const chosen = among ? sql`and seq = any(${[...among]}::bigint[])` : sql``
    const found = await this.#database.read(async (c) => {
      await c.send(sql`select set_config('hnsw.ef_search', ${String(Math.max(EF_SEARCH, limit))}, true),
        set_config('hnsw.iterative_scan', 'strict_order', true)`)
      const [near, without] = await Promise.all([
        c.all(
          sql<Near>`select seq, 1 - (${distance}) as score from vectors
            where owner = ${owner} and generation = ${generation} and vector_dims(embedding) = ${sql.lit(dim)} ${chosen}
            order by ${distance}, seq desc limit ${limit}`,
        ),
        c.get(sql`select from vectors where owner = ${owner} and embedding is null limit 1`),
      ])
      return { near, whole: without === undefined }
    })
    if (found.whole) {
      this.#signs = null
      return found.near
    }
    this.#fill.start()
    this.#signs ??= new SignIndex(this.#database)
    const seen = new Set(found.near.map(({ seq }) => seq))
    const others = await this.#signs.nearest(target, direction, limit, among)
    return [...found.near, ...others.filter(({ seq }) => !seen.has(seq))]
      .sort((a, b) => b.score - a.score || b.seq - a.seq)
      .slice(0, limit)
  }

  /** Makes the index for vectors of this length, once. */
  #ensureIndex(dim: number): Promise<void> {
    let made = this.#indexed.get(dim)
    if (!made) {
      made = dim > MOST_INDEXED ? Promise.resolve() : this.#makeIndex(dim)
      this.#indexed.set(dim, made)
      made.catch(() => this.#indexed.delete(dim))
    }
    return made
  }

  async #makeIndex(dim: number): Promise<void> {
    const state = await this.#database.read((c) =>
      c.get(
        sql<{ valid: boolean | null; building: boolean; vectors: number }>`select
          (select indisvalid from pg_index where indexrelid = to_regclass(${indexOf(dim)})) as valid,
          exists (select from pg_stat_progress_create_index where relid = 'vectors'::regclass) as building,
          (select count(*) from (select from vectors limit ${sql.lit(SOON + 1)}) as found) as vectors`,
      ),
    )
    if (!state || state.valid === true || state.building) return
    if (state.vectors > SOON) return void this.#makeMeanwhile(dim, state.valid === false)
    await this.#database.write(async (tx) => {
      // One process makes it; statements of others that come with it wait.
      await tx.get(sql`select pg_advisory_xact_lock(hashtext('loci'), ${sql.lit(dim)})`)
      await indexVectors(tx, dim)
    })
  }

  /** Makes the index of many vectors, which takes minutes for a million, while they are searched and written. */
  async #makeMeanwhile(dim: number, isLeftOver: boolean): Promise<void> {
    try {
      if (isLeftOver) await this.#database.alone(`DROP INDEX CONCURRENTLY IF EXISTS ${indexOf(dim)}`)
      await this.#database.alone(indexStatement(dim, 'CONCURRENTLY'))
    } catch (error) {
      // Searches find everything without it.
      const why = messageOf(asStoreError(error, this.#database.place)).replace(/\.$/, '')
      if (!this.#told.has(dim))
        this.#onNotice?.(
          `The index of vectors with ${dim} numbers in the database ${this.#database.place} could not be made, so searches ` +
            `compare all of them, which takes longer (${why}). It is tried again with a search after ` +
            `${RETRY_MS / 60_000} minutes.`,
        )
      this.#told.add(dim)
      setTimeout(() => this.#indexed.delete(dim), RETRY_MS).unref()
    }
  }
}

/** Makes the index for vectors of this length, when it is not there. */
export async function indexVectors(connection: Connection, dim: number): Promise<void> {
  await connection.run(sql.raw(indexStatement(dim)))
}

function indexStatement(dim: number, how: 'CONCURRENTLY' | '' = ''): string {
  return `CREATE INDEX ${how} IF NOT EXISTS ${indexOf(dim)} ON vectors
    USING hnsw ((embedding::vector(${dim})) vector_cosine_ops) WHERE vector_dims(embedding) = ${dim}`
}

function indexOf(dim: number): string {
  return `vectors_hnsw_${dim}`
}

/**
 * Whether the database has pgvector; it is switched on where that is allowed. Without it vectors are compared by Loci
 * itself, which holds their signs in memory.
 */
export async function hasPgVector(database: PostgresDatabase): Promise<boolean> {
  const state = await database.read((c) =>
    c.get(
      sql<{ offered: boolean; used: boolean }>`select
        exists (select 1 from pg_available_extensions where name = 'vector') as offered,
        exists (select 1 from information_schema.columns
          where table_name = 'vectors' and column_name = 'embedding') as used`,
    ),
  )
  if (state?.used) return true
  if (!state?.offered) return false
  try {
    await database.write(async (tx) => {
      await tx.get(sql`select pg_advisory_xact_lock(hashtext('loci'), 0)`)
      await tx.run(sql`create extension if not exists vector`)
      await tx.run(sql`alter table vectors add column if not exists embedding vector`)
      // What is compared is in the row, as long as it fits a page; the copy of it is not.
      await tx.run(
        sql`alter table vectors alter column embedding set storage main, alter column vector set storage external`,
      )
      await indexVectorsToFill(tx)
    })
    return true
  } catch (error) {
    // Only who may make extensions can: without, it does without.
    if (isForbidden(error)) return false
    throw error
  }
}

function textOf(vector: Float32Array): string {
  return `[${vector.join(',')}]`
}

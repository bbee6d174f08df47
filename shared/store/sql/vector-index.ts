import { sql } from 'kysely'
import { pause } from '../pause.ts'
import { bytesOf, differences, dot, signsOf, signWords, unit, vectorOf, wordsFor } from '../vector-math.ts'
import type { Database, Transaction } from './database.ts'
import { query, db } from './query.ts'
import type { VectorOwner } from './vector-owners.ts'

/** Candidates that the signs choose for each result, and at the least: they are ranked by their whole vectors. */
const OVERSAMPLING = 30
const MIN_CANDIDATES = 600
/** Rows that are read in one go: the event loop waits meanwhile. */
const PAGE = 500
const VECTORS_PAGE = 64
/** Rows of signs compared in one go. */
const SLICE = 8_192
/** Bytes of signs kept in memory, of all owners together; those not searched for longest go first. */
const MAX_BYTES = 256 * 1024 * 1024

const signsAfter = query<{ owner: string; generation: number; after: number; limit: number }>()((p) =>
  db
    .selectFrom('vectors')
    .select(['id', 'seq', 'bits'])
    // pgvector needs no signs, and it may have been there before.
    .select(sql<Uint8Array | null>`case when length(bits) = 0 then vector end`.as('unsigned'))
    .where('owner', '=', p.owner)
    .where('generation', '=', p.generation)
    .where('id', '>', p.after)
    .orderBy('id')
    .limit(p.limit),
)
const whole = query<{ id: number }>()((p) => db.selectFrom('vectors').select('vector').where('id', '=', p.id))

const put = query<{
  owner: string
  generation: number
  seq: number
  bits: Uint8Array
  vector: Uint8Array
}>()((p) =>
  db
    .insertInto('vectors')
    .values({ owner: p.owner, generation: p.generation, seq: p.seq, bits: p.bits, vector: p.vector })
    .onConflict((conflict) => conflict.doNothing()),
)

/** A text and how near it is: the cosine. */
export interface Near {
  seq: number
  score: number
}

/** Vectors, and how the nearest of them are found. */
export interface VectorIndex {
  /** Stores the vector of a text; it has the length 1. */
  put(
    tx: Transaction,
    vector: { owner: string; generation: number; seq: number; direction: Float32Array },
  ): Promise<void>
  /** The nearest first; only of `among` when it is given. */
  nearest(
    target: VectorOwner,
    direction: Float32Array,
    limit: number,
    among: ReadonlySet<number> | null,
  ): Promise<Near[]>
}

/** Signs of one owner's vectors, in the order of their ids, which only grow. */
interface Signs {
  generation: number
  width: number
  count: number
  ids: Float64Array
  seqs: Float64Array
  bits: Uint32Array
  /** The refresh under way; the next one follows it. */
  reading: Promise<void>
}

/**
 * Finds the vectors nearest to another: the signs of all of them are compared in memory, the best by them are read whole
 * and ranked exactly. Signs are read once; later searches read what has come since, whoever wrote it. What was deleted
 * is found missing when it is read whole. Works in slices, so that nothing else waits.
 */
export class SignIndex implements VectorIndex {
  readonly #database: Database
  readonly #owners = new Map<string, Signs>()

  constructor(database: Database) {
    this.#database = database
  }

  async put(
    tx: Transaction,
    { owner, generation, seq, direction }: Parameters<VectorIndex['put']>[1],
  ): Promise<void> {
    await put.send(tx, { owner, generation, seq, bits: signsOf(direction), vector: bytesOf(direction) })
  }

  async nearest(
    target: VectorOwner,
    direction: Float32Array,
    limit: number,
    among: ReadonlySet<number> | null,
  ): Promise<Near[]> {
    const wanted = unit(direction)
    const signs = await this.#signsOf(target)
    const rows = await candidates(
      signs,
      signWords(wanted),
      Math.max(MIN_CANDIDATES, limit * OVERSAMPLING),
      among,
    )
    const found: Near[] = []
    let missing = 0
    for (let from = 0; from < rows.length; from += VECTORS_PAGE) {
      await pause(0)
      await this.#database.read(async (c) => {
        for (const row of rows.slice(from, from + VECTORS_PAGE)) {
          const vector = (await whole.get(c, { id: signs.ids[row] ?? 0 }))?.vector
          if (vector) found.push({ seq: signs.seqs[row] ?? 0, score: dot(wanted, vectorOf(vector)) })
          else missing++
        }
      })
    }
    // Much of what is remembered has been deleted: it is read anew next time.
    if (missing > rows.length / 4) this.#owners.delete(target.owner)
    return found.sort((a, b) => b.score - a.score || b.seq - a.seq).slice(0, limit)
  }

  async #signsOf(target: VectorOwner): Promise<Signs> {
    let signs = this.#owners.get(target.owner)
    const width = wordsFor(target.dim)
    if (signs?.generation !== target.generation || signs.width !== width) {
      signs = {
        generation: target.generation,
        width,
        count: 0,
        ids: new Float64Array(0),
        seqs: new Float64Array(0),
        bits: new Uint32Array(0),
        reading: Promise.resolve(),
      }
    }
    // Last in the map: used last.
    this.#owners.delete(target.owner)
    this.#owners.set(target.owner, signs)
    const own = signs
    own.reading = own.reading.catch(() => undefined).then(() => this.#refresh(target, own))
    await own.reading
    this.#forget()
    return own
  }

  async #refresh({ owner, generation }: VectorOwner, signs: Signs): Promise<void> {
    for (;;) {
      const after = signs.count === 0 ? 0 : (signs.ids[signs.count - 1] ?? 0)
      const rows = await this.#database.read(
        async (c) => await signsAfter.all(c, { owner, generation, after, limit: PAGE }),
      )
      grow(signs, signs.count + rows.length)
      for (const { id, seq, bits: stored, unsigned } of rows) {
        const bits = unsigned ? signsOf(vectorOf(unsigned)) : stored
        const at = signs.count++
        signs.ids[at] = id
        signs.seqs[at] = seq
        signs.bits.set(new Uint32Array(bits.slice().buffer), at * signs.width)
      }
      if (rows.length < PAGE) return
      await pause(0)
    }
  }

  #forget(): void {
    let bytes = 0
    for (const { bits } of this.#owners.values()) bytes += bits.byteLength
    for (const [owner, { bits }] of this.#owners) {
      if (bytes <= MAX_BYTES || this.#owners.size === 1) return
      this.#owners.delete(owner)
      bytes -= bits.byteLength
    }
  }
}

function grow(signs: Signs, count: number): void {
  if (signs.ids.length >= count) return
  const room = Math.max(64, Math.ceil(count * 1.5))
  const { ids, seqs, bits, width } = signs
  signs.ids = new Float64Array(room)
  signs.ids.set(ids)
  signs.seqs = new Float64Array(room)
  signs.seqs.set(seqs)
  signs.bits = new Uint32Array(room * width)
  signs.bits.set(bits)
}

/** Places of the vectors whose signs fit best. */
async function candidates(
  { bits, seqs, count, width }: Signs,
  wanted: Uint32Array,
  most: number,
  among: ReadonlySet<number> | null,
): Promise<number[]> {
  const distances = new Uint16Array(count)
  const histogram = new Uint32Array(width * 32 + 1)
  for (let from = 0; from < count; from += SLICE) {
    await pause(0)
    const to = Math.min(count, from + SLICE)
    differences(bits, wanted, distances, from, to)
    for (let row = from; row < to; row++) {
      if (among && !among.has(seqs[row] as number)) distances[row] = 0xffff
      else histogram[distances[row] as number]!++
    }
  }
  await pause(0)
  let limit = 0
  for (let sum = 0; limit < histogram.length; limit++) {
    sum += histogram[limit] as number
    if (sum >= most) break
  }
  const rows: number[] = []
  for (let row = 0; row < count; row++) if ((distances[row] as number) <= limit) rows.push(row)
  // Many may share the last distance.
  return rows.length <= most * 2
    ? rows
    : rows.sort((a, b) => (distances[a] as number) - (distances[b] as number)).slice(0, most)
}

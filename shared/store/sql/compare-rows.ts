import type { CopiedTable } from './copied-tables.ts'
import { batchesOf, digestOf, keyOf, keyText, type Row, type Value } from './copy-rows.ts'
import type { Connection } from './query.ts'

/** A row that is not the same in both stores. */
export interface Difference {
  table: string
  /** Its primary key, as JSON. */
  key: string
  what: 'missing' | 'surplus' | 'changed'
}

/** Differences of one table that are told; more say nothing new. */
const MOST = 20
/** Rows that may wait for their like: two engines may sort a few differently. More mean that something is missing. */
const WAITING = 10_000

/** A side of the comparison. */
export interface Compared {
  connection: Connection
  /** The row as it is compared. */
  comparable: (row: Row) => Row
}

/**
 * Compares the rows of a table in two stores by their digests, in little memory: what `target` lacks, has besides, or has
 * otherwise; some of them, where there are many. `onRows` hears how many rows of the source have been looked at.
 */
export async function compareRows(
  table: CopiedTable,
  source: Compared,
  target: Compared,
  { onRows, signal }: { onRows?: (rows: number) => void; signal?: AbortSignal | undefined } = {},
): Promise<Difference[]> {
  const here = new Walk(table, source)
  const there = new Walk(table, target)
  const changed: Difference[] = []
  while (changed.length < MOST && here.waiting.size + there.waiting.size < WAITING) {
    signal?.throwIfAborted()
    if (here.ended && there.ended) break
    // Neither runs ahead, whatever the other one lacks.
    const [walk, other] = isBefore(here, there) ? [here, there] : [there, here]
    for (const [key, { digest, place }] of await walk.next()) {
      const like = other.waiting.get(key)
      if (!like) walk.waiting.set(key, { digest, place })
      else {
        other.waiting.delete(key)
        if (like.digest !== digest) changed.push({ table: table.name, key, what: 'changed' })
      }
    }
    if (walk === here) onRows?.(here.rows)
  }
  return [
    ...changed,
    ...here.alone(there).map((key): Difference => ({ table: table.name, key, what: 'missing' })),
    ...there.alone(here).map((key): Difference => ({ table: table.name, key, what: 'surplus' })),
  ].slice(0, MOST)
}

interface Seen {
  digest: string
  place: Value[]
}

/** The rows of one side, in the order of their keys. */
class Walk {
  /** Rows whose like has not come yet. */
  readonly waiting = new Map<string, Seen>()
  rows = 0
  ended = false
  last: Value[] | null = null
  readonly #batches: AsyncGenerator<Row[]>
  readonly #table: CopiedTable
  readonly #comparable: (row: Row) => Row

  constructor(table: CopiedTable, { connection, comparable }: Compared) {
    this.#table = table
    this.#comparable = comparable
    this.#batches = batchesOf(connection, table, null)
  }

  async next(): Promise<[key: string, seen: Seen][]> {
    const batch = await this.#batches.next()
    if (batch.done) {
      this.ended = true
      return []
    }
    this.rows += batch.value.length
    return batch.value.map((row) => {
      const place = keyOf(this.#table, row)
      this.last = place
      return [keyText(place), { place, digest: digestOf(this.#table.columns, this.#comparable(row)) }]
    })
  }

  /** Keys that the other side has passed without them. */
  alone(other: Walk): string[] {
    return [...this.waiting]
      .filter(([, { place }]) => other.ended || (other.last !== null && compareKeys(place, other.last) <= 0))
      .map(([key]) => key)
  }
}

function isBefore(a: Walk, b: Walk): boolean {
  if (a.ended || b.ended) return b.ended
  if (a.last === null || b.last === null) return a.last === null
  return compareKeys(a.last, b.last) <= 0
}

/** As the engines sort: numbers by size, texts and bytes by their bytes. */
function compareKeys(a: readonly Value[], b: readonly Value[]): number {
  for (const [i, value] of a.entries()) {
    const other = b[i] ?? null
    const order =
      typeof value === 'number' && typeof other === 'number'
        ? value - other
        : Buffer.compare(bytesOf(value), bytesOf(other))
    if (order !== 0) return order
  }
  return 0
}

function bytesOf(value: Value): Uint8Array {
  return value instanceof Uint8Array ? value : Buffer.from(String(value))
}

import type { SecretKeys } from '../secret-box.ts'
import type { CopiedTable } from './copied-tables.ts'
import { comparable, sameSecret, type Secret } from './copied-secrets.ts'
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
  /** What opens its encrypted values. */
  keys: SecretKeys
}

/** What a comparison has found. */
export interface Comparison {
  differences: Difference[]
  uncompared: Uncompared
}

/** Encrypted values that could not be compared, as these keys of the source, or of the target, are not here. */
export interface Uncompared {
  secrets: number
  source_keys: string[]
  target_keys: string[]
}

/**
 * Compares the rows of a table in two stores by their digests, in little memory: what `target` lacks, has besides, or has
 * otherwise; some of them, where there are many. Encrypted values are compared by what they say. `onRows` hears how many
 * rows of the source have been looked at.
 */
export async function compareRows(
  table: CopiedTable,
  source: Compared,
  target: Compared,
  { onRows, signal }: { onRows?: (rows: number) => void; signal?: AbortSignal | undefined } = {},
): Promise<Comparison> {
  const here = new Walk(table, source)
  const there = new Walk(table, target)
  const changed: Difference[] = []
  const sealed: { here: Secret; there: Secret }[] = []
  while (changed.length < MOST && here.waiting.size + there.waiting.size < WAITING) {
    signal?.throwIfAborted()
    if (here.ended && there.ended) break
    // Neither runs ahead, whatever the other one lacks.
    const [walk, other] = isBefore(here, there) ? [here, there] : [there, here]
    for (const [key, seen] of await walk.next()) {
      const like = other.waiting.get(key)
      if (!like) {
        walk.waiting.set(key, seen)
        continue
      }
      other.waiting.delete(key)
      const same = seen.secrets.map((secret, i) => sameSecret(secret, like.secrets[i] ?? null))
      if (like.digest !== seen.digest || same.includes(false))
        changed.push({ table: table.name, key, what: 'changed' })
      for (const [i, answer] of same.entries()) {
        const [own, its] = [seen.secrets[i], like.secrets[i]]
        if (answer !== null || !own || !its) continue
        sealed.push(walk === here ? { here: own, there: its } : { here: its, there: own })
      }
    }
    if (walk === here) onRows?.(here.rows)
  }
  const differences = [
    ...changed,
    ...here.alone(there).map((key): Difference => ({ table: table.name, key, what: 'missing' })),
    ...there.alone(here).map((key): Difference => ({ table: table.name, key, what: 'surplus' })),
  ].slice(0, MOST)
  return {
    differences,
    uncompared: {
      secrets: sealed.length,
      source_keys: unknown(sealed.map((pair) => pair.here)),
      target_keys: unknown(sealed.map((pair) => pair.there)),
    },
  }
}

function unknown(secrets: readonly Secret[]): string[] {
  return [...new Set(secrets.filter(({ known }) => !known).map(({ key_id }) => key_id))]
}

interface Seen {
  /** Of all but its encrypted values. */
  digest: string
  secrets: (Secret | null)[]
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
  readonly #keys: SecretKeys

  constructor(table: CopiedTable, { connection, keys }: Compared) {
    this.#table = table
    this.#keys = keys
    this.#batches = batchesOf(connection, table, null)
  }

  async next(): Promise<[key: string, seen: Seen][]> {
    const batch = await this.#batches.next()
    if (batch.done) {
      this.ended = true
      return []
    }
    this.rows += batch.value.length
    return batch.value.map((given) => {
      const place = keyOf(this.#table, given)
      this.last = place
      const { row, secrets } = comparable(this.#table.name, given, this.#keys)
      return [keyText(place), { place, secrets, digest: digestOf(this.#table.columns, row) }]
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

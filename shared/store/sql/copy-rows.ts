import { hash } from 'node:crypto'
import { sql } from 'kysely'
import { pause } from '../pause.ts'
import { signsOf, vectorOf } from '../vector-math.ts'
import { type CopiedTable, OWN_META } from './copied-tables.ts'
import type { Connection } from './query.ts'

/** What a column holds. */
export type Value = string | number | Uint8Array | null
export type Row = Record<string, Value>

/** Rows that are read at once: the first time, and at the most. */
const ROWS = { first: 64, most: 2_000 }
/** Bytes that are read at once, as far as rows allow: more or fewer rows follow. */
const BYTES = 2_000_000

/** The rows of a table behind the key `after`, in the order of the key, in batches of moderate size. */
export async function* batchesOf(
  connection: Connection,
  table: CopiedTable,
  after: readonly Value[] | null,
): AsyncGenerator<Row[]> {
  const columns = sql.join(table.columns.map((name) => sql.ref(name)))
  const key = sql.join(table.key.map((name) => sql.ref(name)))
  const own = table.name === 'meta' ? sql`key not in (${sql.join([...OWN_META])})` : sql`true`
  let from = after
  for (let limit = ROWS.first; ;) {
    const beyond = from ? sql`(${key}) > (${sql.join([...from])})` : sql`true`
    const rows = await connection.all<Row>(
      sql`select ${columns} from ${sql.table(table.name)} where ${own} and ${beyond} order by ${key} limit ${limit}`,
    )
    const last = rows.at(-1)
    if (last) yield rows
    if (!last || rows.length < limit) return
    from = keyOf(table, last)
    const size = rows.reduce((sum, row) => sum + sizeOf(row), 0)
    limit = Math.max(1, Math.min(limit * 2, ROWS.most, Math.floor((limit * BYTES) / (size + 1))))
    await pause(0)
  }
}

/** How many rows of a table are copied. */
export async function countOf(connection: Connection, { name }: { name: string }): Promise<number> {
  const own = name === 'meta' ? sql`key not in (${sql.join([...OWN_META])})` : sql`true`
  const query = sql<{ n: number }>`select count(*) as n from ${sql.table(name)} where ${own}`
  return (await connection.get(query))?.n ?? 0
}

/** The values of a row's key. */
export function keyOf({ key }: CopiedTable, row: Row): Value[] {
  return key.map((name) => row[name] ?? null)
}

/** The rows as a store has them, with the columns that are its own; `pgvector`: vectors are in pgvector's type there. */
export function storedRows(
  { name, columns }: CopiedTable,
  rows: readonly Row[],
  pgvector: boolean,
): { columns: readonly string[]; rows: readonly Row[] } {
  if (name !== 'vectors') return { columns, rows }
  return {
    columns: [...columns, 'bits', ...(pgvector ? ['embedding'] : [])],
    rows: rows.map((row) => withSigns(row, pgvector)),
  }
}

/** What the store compares vectors by. */
function withSigns(row: Row, pgvector: boolean): Row {
  const { vector } = row
  if (!(vector instanceof Uint8Array)) return row
  const numbers = vectorOf(vector)
  return pgvector
    ? { ...row, bits: new Uint8Array(0), embedding: textOf(numbers) }
    : { ...row, bits: signsOf(numbers) }
}

/** Nine digits tell every number of 32 bits from its neighbours. */
function textOf(numbers: Float32Array): string {
  let text = ''
  for (const number of numbers) text += `${text === '' ? '[' : ','}${number.toPrecision(9)}`
  return `${text}]`
}

function sizeOf(row: Row): number {
  let size = 0
  for (const value of Object.values(row))
    size += typeof value === 'string' ? value.length : value instanceof Uint8Array ? value.length : 8
  return size
}

/** A row's digest: the same in every engine. */
export function digestOf(columns: readonly string[], row: Row): string {
  return hash('sha256', JSON.stringify(columns.map((name) => plainValue(row[name] ?? null))), 'base64')
}

/** A key as text: for people, for comparing, and to be kept. */
export function keyText(key: readonly Value[]): string {
  return JSON.stringify(key.map(plainValue))
}

/** A key that was kept. */
export function keyFrom(key: readonly unknown[]): Value[] {
  return key.map((value) =>
    typeof value === 'object' && value !== null && 'hex' in value
      ? new Uint8Array(Buffer.from(String(value.hex), 'hex'))
      : (value as Value),
  )
}

/** A value in JSON. */
export function plainValue(value: Value): unknown {
  return value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value
}

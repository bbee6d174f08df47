import type { RawBuilder, SqlBool } from 'kysely'
import { sql } from 'kysely'
import { AppError } from '../../schema/errors.ts'
import type { Page } from '../../schema/page.ts'
import type { Connection } from './query.ts'

/** A list's place in the database: the table and the column it is sorted by. */
export interface Sorting {
  table:
    | 'agents'
    | 'archives'
    | 'batches'
    | 'batch_items'
    | 'blocks'
    | 'conversations'
    | 'groups'
    | 'folders'
    | 'files'
    | 'identities'
    | 'passages'
    | 'tools'
    | 'runs'
    | 'steps'
    | 'compactions'
    | 'schedules'
  column: string
  /** What breaks ties; `id` by default. */
  tie?: 'id' | 'seq'
  /** The column may be null: such rows sort as the smallest. */
  nullable?: boolean
}

/** How one page is read: the conditions of its cursors, the direction to read in, and whether to turn the result. */
export interface Window {
  conditions: RawBuilder<SqlBool>[]
  direction: RawBuilder<unknown>
  turned: boolean
}

/**
 * The window of a page in a list sorted by a time and id. With `before` alone it is the page that ends at the cursor.
 * Throws `not_found` for a cursor that is no row of this organisation.
 */
export function windowOf(connection: Connection, org: string, sorting: Sorting, page: Page): Window {
  const ref = sql.ref(`${sorting.table}.${sorting.column}`)
  // An index serves the plain column only.
  const column = sorting.nullable ? sql`coalesce(${ref}, '')` : ref
  const tie = sql.ref(`${sorting.table}.${sorting.tie ?? 'id'}`)
  const key = sql`(${column}, ${tie})`
  const conditions: RawBuilder<SqlBool>[] = []
  const ascending = page.order === 'asc'
  for (const [id, forward] of [
    [page.after, ascending],
    [page.before, !ascending],
  ] as const) {
    if (id === undefined) continue
    const at = cursorPlace(connection, org, sorting, id)
    const place = sql`(${at.value}, ${at.tie})`
    conditions.push(forward ? sql<SqlBool>`${key} > ${place}` : sql<SqlBool>`${key} < ${place}`)
  }
  const turned = page.before !== undefined && page.after === undefined
  const up = ascending !== turned
  return {
    conditions,
    direction: up ? sql`${column} asc, ${tie} asc` : sql`${column} desc, ${tie} desc`,
    turned,
  }
}

function cursorPlace(connection: Connection, org: string, sorting: Sorting, id: string) {
  const { table, column, tie = 'id' } = sorting
  const row = connection
    .statement(
      `SELECT coalesce("${column}", '') AS value, "${tie}" AS tie FROM "${table}" WHERE id = ? AND organization_id = ?`,
    )
    .get(id, org)
  if (!row) throw unknownCursor(id)
  return { value: row['value'], tie: row['tie'] }
}

/** `not_found` for a cursor. */
export function unknownCursor(id: string): AppError {
  return new AppError(
    'not_found',
    `No item '${id}' to page from; use the id of an item that the list returned.`,
  )
}

/** Substring match of a user's text: `%` and `_` are plain characters. */
export function contains(column: string, text: string): RawBuilder<SqlBool> {
  const pattern = `%${text.replaceAll(/[\\%_]/g, (c) => `\\${c}`)}%`
  return sql<SqlBool>`${sql.ref(column)} like ${pattern} escape '\\'`
}

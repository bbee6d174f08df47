import type { RawBuilder, SqlBool } from 'kysely'
import { sql } from 'kysely'
import { AppError } from '../../schema/errors.ts'
import type { Page } from '../../schema/page.ts'
import type { Connection } from './query.ts'

/** A list's place in the database: the table and the column it is sorted by, ties broken by `id`. */
export interface Sorting {
  table: 'agents' | 'blocks' | 'tools' | 'runs' | 'steps'
  column: string
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
  const rowId = sql.ref(`${sorting.table}.id`)
  const key = sql`(${column}, ${rowId})`
  const conditions: RawBuilder<SqlBool>[] = []
  const ascending = page.order === 'asc'
  for (const [id, forward] of [
    [page.after, ascending],
    [page.before, !ascending],
  ] as const) {
    if (id === undefined) continue
    const value = cursorValue(connection, org, sorting, id)
    conditions.push(
      forward ? sql<SqlBool>`${key} > (${value}, ${id})` : sql<SqlBool>`${key} < (${value}, ${id})`,
    )
  }
  const turned = page.before !== undefined && page.after === undefined
  const up = ascending !== turned
  return {
    conditions,
    direction: up ? sql`${column} asc, ${rowId} asc` : sql`${column} desc, ${rowId} desc`,
    turned,
  }
}

function cursorValue(connection: Connection, org: string, sorting: Sorting, id: string): string {
  const row = connection
    .statement(
      `SELECT coalesce("${sorting.column}", '') AS value FROM "${sorting.table}" WHERE id = ? AND organization_id = ?`,
    )
    .get(id, org)
  if (!row) throw unknownCursor(id)
  return String(row['value'])
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

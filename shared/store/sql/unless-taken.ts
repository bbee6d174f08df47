import { sql } from 'kysely'
import { portable } from './query.ts'

/**
 * At the end of a query: takes the rows that it finds until the transaction ends, and passes over those that another one
 * has taken or is changing. SQLite has one writer, who finds everything free.
 */
export const unlessTaken = portable<unknown>({ sqlite: sql``, postgres: sql`for update skip locked` })

/** How a command is written that takes rows so. */
export const CLAIMS = { claims: true } as const

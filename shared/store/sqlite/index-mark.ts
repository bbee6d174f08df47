import type { Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'

/** The row of `meta` with the number of the last message that has been looked at. */
const MARK = 'messages_indexed'

const mark = query<object>()(() => sqlite.selectFrom('meta').select('value').where('key', '=', MARK))
const putMark = query<{ value: string }>()((p) =>
  sqlite
    .insertInto('meta')
    .values({ key: MARK, value: p.value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: p.value })),
)
const newest = query<object>()(() => sqlite.selectFrom('messages').select((eb) => eb.fn.max('seq').as('seq')))

/** The number of the last message that is in the full-text index, as far as it is searchable. */
export function indexedUpTo(connection: Connection): number {
  return Number(mark.get(connection, {})?.value ?? 0)
}

/** All messages up to this number are in the index now. */
export function setIndexedUpTo(tx: Transaction, seq: number): void {
  putMark.run(tx, { value: String(seq) })
}

/** The number of the last message; 0 when there is none. */
export function newestMessage(connection: Connection): number {
  return newest.get(connection, {})?.seq ?? 0
}

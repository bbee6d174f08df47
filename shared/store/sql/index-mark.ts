import type { Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'

/** The row of `meta` with the number of the last message that has been looked at. */
const MARK = 'messages_indexed'

const mark = query<object>()(() => db.selectFrom('meta').select('value').where('key', '=', MARK))
const putMark = query<{ value: string }>()((p) =>
  db
    .insertInto('meta')
    .values({ key: MARK, value: p.value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: p.value })),
)
const newest = query<object>()(() => db.selectFrom('messages').select((eb) => eb.fn.max('seq').as('seq')))

/** The number of the last message that is in the full-text index, as far as it is searchable. */
export async function indexedUpTo(connection: Connection): Promise<number> {
  return Number((await mark.get(connection, {}))?.value ?? 0)
}

/** All messages up to this number are in the index now. */
export async function setIndexedUpTo(tx: Transaction, seq: number): Promise<void> {
  await putMark.send(tx, { value: String(seq) })
}

/** The number of the last message; 0 when there is none. */
export async function newestMessage(connection: Connection): Promise<number> {
  return (await newest.get(connection, {}))?.seq ?? 0
}

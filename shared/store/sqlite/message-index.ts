import { indexText } from '../search-text.ts'
import type { Database, Transaction } from './database.ts'
import { ownerWord } from './full-text.ts'
import { MESSAGE_COLUMNS, messageOf, searchText } from './messages.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'
import { inSlices } from './slices.ts'

/** The row of `meta` with the number of the last message that has been looked at. */
const MARK = 'messages_indexed'
/** Messages that one transaction takes in, the first and any. */
const ROWS = { first: 64, most: 1000 }

const mark = query<object>()(() => sqlite.selectFrom('meta').select('value').where('key', '=', MARK))
const putMark = query<{ value: string }>()((p) =>
  sqlite
    .insertInto('meta')
    .values({ key: MARK, value: p.value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: p.value })),
)
const newest = query<object>()(() => sqlite.selectFrom('messages').select((eb) => eb.fn.max('seq').as('seq')))
const following = query<{ after: number; limit: number }>()((p) =>
  sqlite
    .selectFrom('messages')
    .select([...MESSAGE_COLUMNS, 'messages.seq', 'messages.searchable'])
    .where('seq', '>', p.after)
    .orderBy('seq')
    .limit(p.limit),
)
const insertText = query<{ seq: number; owner: string; text: string }>()((p) =>
  sqlite.insertInto('messages_fts').values({ rowid: p.seq, owner: p.owner, text: p.text }),
)

/**
 * Puts every message that is committed by now into the full-text index, which they do not enter in their own commits
 * (docs/decisions/0012): to be called before a search, and now and then. Numbers of messages only grow, so that one
 * number tells which are in it, whoever wrote them and whoever died.
 */
export async function indexMessages(database: Database, stopped: () => boolean = () => false): Promise<void> {
  const [done, last] = await database.read((c) => [indexedUpTo(c), newest.get(c, {})?.seq ?? 0])
  if (done >= last) return
  await inSlices(database, ROWS, (tx, rows) => indexSome(tx, rows) < last && !stopped())
}

/** Takes in the next messages, so many at the most; answers the number of the last one that is in it now. */
function indexSome(tx: Transaction, rows: number): number {
  const after = indexedUpTo(tx)
  const messages = following.all(tx, { after, limit: rows })
  const last = messages.at(-1)?.seq
  // Another process was faster, or what was there has been deleted.
  if (last === undefined) return Infinity
  for (const { seq, searchable, ...row } of messages) {
    if (searchable !== 1) continue
    const text = indexText(searchText(messageOf(row)))
    insertText.run(tx, { seq, owner: ownerWord(row.agent_id), text })
  }
  putMark.run(tx, { value: String(last) })
  return last
}

function indexedUpTo(connection: Connection): number {
  return Number(mark.get(connection, {})?.value ?? 0)
}

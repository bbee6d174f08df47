import type { Database, Transaction } from './database.ts'
import { embedsMessages, wakeMessages } from './embeddings.ts'
import { indexedUpTo, newestMessage, setIndexedUpTo } from './index-mark.ts'
import { addText, indexEntry, MESSAGE_COLUMNS, messageOf } from './messages.ts'
import { query, db } from './query.ts'
import { inSlices } from './slices.ts'

/** Messages that one transaction takes in, the first and any. */
const ROWS = { first: 64, most: 1000 }

const following = query<{ after: number; limit: number }>()((p) =>
  db
    .selectFrom('messages')
    .select([...MESSAGE_COLUMNS, 'messages.seq', 'messages.searchable'])
    .where('seq', '>', p.after)
    .orderBy('seq')
    .limit(p.limit),
)
/**
 * Puts every message that is committed by now into the full-text index, which they do not enter in their own commits
 * (docs/decisions/0012): to be called now and then; a search looks at the others as they are. Numbers of messages only grow, so that one
 * number tells which are in it, whoever wrote them and whoever died.
 */
export async function indexMessages(database: Database, stopped: () => boolean = () => false): Promise<void> {
  const [done, last] = await database.read(async (c) => [await indexedUpTo(c), await newestMessage(c)])
  if (done >= last) return
  await inSlices(database, ROWS, async (tx, rows) => (await indexSome(tx, rows)) < last && !stopped())
}

/** Takes in the next messages, so many at the most; answers the number of the last one that is in it now. */
async function indexSome(tx: Transaction, rows: number): Promise<number> {
  const after = await indexedUpTo(tx)
  const messages = await following.all(tx, { after, limit: rows })
  const last = messages.at(-1)?.seq
  // Another process was faster, or what was there has been deleted.
  if (last === undefined) return Infinity
  const agents = new Set<string>()
  for (const { seq, searchable, ...row } of messages) {
    if (searchable !== 1) continue
    agents.add(row.agent_id)
    await addText.send(tx, { seq, ...indexEntry(messageOf(row)) })
  }
  await setIndexedUpTo(tx, last)
  if (await embedsMessages(tx)) for (const agent_id of agents) await wakeMessages(tx, agent_id)
  return last
}

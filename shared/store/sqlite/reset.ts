import type { Database, Transaction } from './database.ts'
import { deleteInSlices, deleteMessageRows } from './deletions.ts'
import { sqlite } from './query.ts'

/** Empties the context of a conversation; the messages stay. */
export function clearContext(tx: Transaction, conversation_id: string): void {
  tx.run(sqlite.deleteFrom('context_messages').where('conversation_id', '=', conversation_id))
}

/** Keeps only the first message, the system message, in the context of a conversation. */
export function keepFirst(tx: Transaction, conversation_id: string): void {
  const context = sqlite.selectFrom('context_messages').where('conversation_id', '=', conversation_id)
  const first = tx.get(context.select((eb) => eb.fn.min('position').as('position')))
  if (first?.position == null) return
  tx.run(
    sqlite
      .deleteFrom('context_messages')
      .where('conversation_id', '=', conversation_id)
      .where('position', '>', first.position),
  )
}

/** The newest message of a conversation; 0 when there is none. */
export function newestSeq(tx: Transaction, conversation_id: string): number {
  const newest = tx.get(
    sqlite
      .selectFrom('messages')
      .select((eb) => eb.fn.max('seq').as('seq'))
      .where('conversation_id', '=', conversation_id),
  )
  return newest?.seq ?? 0
}

/**
 * Deletes the messages of a conversation up to this one, in many short transactions, so that no other process waits
 * for a big one. A crash in between leaves the rest in the history, out of the context: reset again.
 */
export async function deleteMessages(
  database: Database,
  conversation_id: string,
  up_to: number,
): Promise<void> {
  await deleteInSlices(database, (tx, rows) => {
    const some = sqlite
      .selectFrom('messages')
      .select('seq')
      .where('conversation_id', '=', conversation_id)
      .where('seq', '<=', up_to)
      .limit(rows)
    return deleteMessageRows(
      tx,
      tx.all(some).map((row) => row.seq),
    )
  })
}

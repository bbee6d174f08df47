import { pause } from '../pause.ts'
import type { Database, Transaction } from './database.ts'
import { sqlite } from './query.ts'

/** Rows that one transaction removes: it must stay far under 20 ms. */
const BATCH = 250

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
  while (await database.write((tx) => deleteSome(tx, conversation_id, up_to))) await pause(0)
}

function deleteSome(tx: Transaction, conversation_id: string, up_to: number): boolean {
  const seqs = tx
    .all(
      sqlite
        .selectFrom('messages')
        .select('seq')
        .where('conversation_id', '=', conversation_id)
        .where('seq', '<=', up_to)
        .limit(BATCH),
    )
    .map((row) => row.seq)
  if (seqs.length === 0) return false
  tx.run(sqlite.deleteFrom('messages_fts').where('rowid', 'in', seqs))
  tx.run(sqlite.deleteFrom('messages').where('seq', 'in', seqs))
  return true
}

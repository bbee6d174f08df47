import { dataOf } from './conversation-rows.ts'
import type { Database, Transaction } from './database.ts'
import { deleteInSlices, deleteMessageRows } from './deletions.ts'
import { deleteVectors } from './embeddings.ts'
import { db } from './query.ts'

/** Empties the context of a conversation; the messages stay. */
export async function clearContext(tx: Transaction, conversation_id: string): Promise<void> {
  await tx.send(db.deleteFrom('context_messages').where('conversation_id', '=', conversation_id))
}

/** Keeps only the first message, the system message, in the context of a conversation. */
export async function keepFirst(tx: Transaction, conversation_id: string): Promise<void> {
  await tx.send(
    db
      .deleteFrom('context_messages')
      .where('conversation_id', '=', conversation_id)
      .where('position', '>', (eb) =>
        eb
          .selectFrom('context_messages')
          .select((min) => min.fn.min('position').as('position'))
          .where('conversation_id', '=', conversation_id),
      ),
  )
}

/** The newest message of a conversation; 0 when there is none. */
export async function newestSeq(tx: Transaction, conversation_id: string): Promise<number> {
  const newest = await tx.get(
    db
      .selectFrom('messages')
      .select((eb) => eb.fn.max('seq').as('seq'))
      .where('conversation_id', '=', conversation_id),
  )
  return newest?.seq ?? 0
}

/** The newest message of a conversation that a fork of it shares; 0 when there is none. */
export async function newestShared(
  tx: Transaction,
  agent_id: string,
  conversation_id: string,
): Promise<number> {
  const others = await tx.all(
    db
      .selectFrom('conversations')
      .select('data')
      .where('agent_id', '=', agent_id)
      .where('deleted_at', 'is', null)
      .where('data', 'like', `%"${conversation_id}"%`),
  )
  const shared = others.flatMap((row) => dataOf(row).shared ?? [])
  return Math.max(
    0,
    ...shared.filter((part) => part.conversation_id === conversation_id).map((part) => part.up_to),
  )
}

/** The history of a conversation begins after this message; contexts from before it cannot be had again. */
export async function beginHistory(tx: Transaction, conversation_id: string, after: number): Promise<void> {
  await tx.send(db.deleteFrom('earlier_contexts').where('conversation_id', '=', conversation_id))
  const row = await tx.get(db.selectFrom('conversations').select('data').where('id', '=', conversation_id))
  // What it shared with the conversation it was forked from is no longer its own.
  const { shared: _, ...data } = dataOf({ data: row?.data ?? '{}' })
  await tx.send(
    db
      .updateTable('conversations')
      .set({ history_start: after, data: JSON.stringify(data) })
      .where('id', '=', conversation_id),
  )
}

/**
 * Deletes the messages of a conversation between these two, the second included, in many short transactions, so that no
 * other process waits for a big one. A crash in between leaves the rest out of the conversation's history and context,
 * and reset again deletes it.
 */
export async function deleteMessages(
  database: Database,
  conversation_id: string,
  { after, up_to }: { after: number; up_to: number },
): Promise<void> {
  await deleteInSlices(database, async (tx, rows) => {
    const some = await tx.all(
      db
        .selectFrom('messages')
        .select(['seq', 'agent_id'])
        .where('conversation_id', '=', conversation_id)
        .where('seq', '>', after)
        .where('seq', '<=', up_to)
        .limit(rows),
    )
    const seqs = some.map((row) => row.seq)
    const owner = some[0]?.agent_id
    if (owner !== undefined) await deleteVectors(tx, owner, seqs)
    return await deleteMessageRows(tx, seqs)
  })
}

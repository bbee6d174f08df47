import { pause } from '../pause.ts'
import type { Database, Transaction } from './database.ts'
import { sqlite } from './query.ts'

/** Rows that one transaction removes: it must stay far under 20 ms. */
const BATCH = 250

/** An agent that is gone, whose rows may not all be. */
interface Deletion {
  agent_id: string
  organization_id: string
}

/**
 * Removes what is left of a deleted agent: messages with their index, conversations, runs, steps. In many short
 * transactions, so that no other process waits for a big one; after a crash the next `recover` goes on.
 */
export async function finishDeletion(
  database: Database,
  { agent_id, organization_id }: Deletion,
): Promise<void> {
  while (await database.write((tx) => deleteSome(tx, agent_id, organization_id))) await pause(0)
  await database.write((tx) => tx.run(sqlite.deleteFrom('deletions').where('agent_id', '=', agent_id)))
}

/** Agents whose deletion was interrupted. */
export function unfinishedDeletions(database: Database): Promise<Deletion[]> {
  return database.read((c) => c.all(sqlite.selectFrom('deletions').select(['agent_id', 'organization_id'])))
}

function deleteSome(tx: Transaction, agent_id: string, organization_id: string): boolean {
  const seqs = tx
    .all(sqlite.selectFrom('messages').select('seq').where('agent_id', '=', agent_id).limit(BATCH))
    .map((row) => row.seq)
  if (seqs.length > 0) {
    tx.run(sqlite.deleteFrom('messages_fts').where('rowid', 'in', seqs))
    tx.run(sqlite.deleteFrom('messages').where('seq', 'in', seqs))
    return true
  }
  const conversation = tx.get(
    sqlite.selectFrom('conversations').select('id').where('agent_id', '=', agent_id).limit(1),
  )
  if (conversation) {
    const positions = tx.all(
      sqlite
        .selectFrom('context_messages')
        .select('position')
        .where('conversation_id', '=', conversation.id)
        .orderBy('position')
        .limit(4 * BATCH),
    )
    const last = positions.at(-1)
    if (last) {
      tx.run(
        sqlite
          .deleteFrom('context_messages')
          .where('conversation_id', '=', conversation.id)
          .where('position', '<=', last.position),
      )
    } else tx.run(sqlite.deleteFrom('conversations').where('id', '=', conversation.id))
    return true
  }
  for (const table of ['steps', 'runs'] as const) {
    const some = sqlite
      .selectFrom(table)
      .select('id')
      .where('organization_id', '=', organization_id)
      .where('agent_id', '=', agent_id)
      .limit(BATCH)
    if (tx.run(sqlite.deleteFrom(table).where('id', 'in', some)) > 0) return true
  }
  return false
}

import { sql } from 'kysely'
import { pause } from '../pause.ts'
import type { Database, Transaction } from './database.ts'
import { deleteInSlices, deleteMessageRows } from './deletions.ts'
import { deleteVectors } from './embeddings.ts'
import { sqlite } from './query.ts'

/** Rows that one read takes. */
const PAGE = 1000
const CONTEXT_PAGE = 5000
const EARLIER_PAGE = 20

interface OldMessage {
  seq: number
  agent_id: string
  conversation_id: string
}

/**
 * Messages that are old and in no context, nor in an earlier one that is as new as what is kept: the latter can still be
 * gone back to. History is looked at in the order in which it was stored, up to the first stretch without an old message:
 * what was imported with old dates goes when its neighbours do.
 */
export class MessageRetention {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async count(before: Date): Promise<number> {
    let count = 0
    for await (const some of this.#old(before)) count += some.length
    return count
  }

  async delete(before: Date, signal: AbortSignal): Promise<number> {
    const stopped = () => signal.aborted || this.#database.closed
    await this.#forgetContexts(before, stopped)
    let deleted = 0
    for await (const some of this.#old(before)) {
      let at = 0
      await deleteInSlices(this.#database, (tx, rows) => {
        if (stopped() || at >= some.length) return 0
        const slice = some.slice(at, at + rows)
        at += slice.length
        deleted += deleteUnused(tx, slice)
        return slice.length
      })
      if (stopped()) break
    }
    return deleted
  }

  /** A page of history at a time. */
  async *#old(before: Date): AsyncGenerator<OldMessage[]> {
    let kept: ReadonlySet<number> | null = null
    for (let after = 0; ;) {
      const page = sqlite
        .selectFrom('messages')
        .select(['seq', 'agent_id', 'conversation_id', 'created_at'])
        .where('seq', '>', after)
        .orderBy('seq')
        .limit(PAGE)
      const rows = await this.#database.read((c) => c.all(page))
      const old = rows.filter((row) => row.created_at < before.toISOString())
      if (old.length === 0) return
      const known = (kept ??= await this.#kept(before))
      const gone = old.filter((row) => !known.has(row.seq))
      if (gone.length > 0) yield gone
      after = rows.at(-1)?.seq ?? after
      await pause(0)
    }
  }

  /**
   * Numbers of the messages in contexts, and in those that can be gone back to. What is in neither comes into neither
   * again. Contexts are read first: what leaves one meanwhile is found among the earlier ones.
   */
  async #kept(before: Date): Promise<ReadonlySet<number>> {
    const kept = new Set<number>()
    let place = { conversation_id: '', position: -1 }
    for (;;) {
      const page = sqlite
        .selectFrom('context_messages')
        .select(['conversation_id', 'position', 'message_seq'])
        .where(sql<boolean>`(conversation_id, position) > (${place.conversation_id}, ${place.position})`)
        .orderBy('conversation_id')
        .orderBy('position')
        .limit(CONTEXT_PAGE)
      const rows = await this.#database.read((c) => c.all(page))
      for (const { message_seq } of rows) kept.add(message_seq)
      const last = rows.at(-1)
      if (!last) break
      place = last
      await pause(0)
    }
    for (let after = 0; ;) {
      const page = sqlite
        .selectFrom('earlier_contexts')
        .select(['id', 'message_seqs', 'created_at'])
        .where('id', '>', after)
        .orderBy('id')
        .limit(EARLIER_PAGE)
      const rows = await this.#database.read((c) => c.all(page))
      for (const row of rows)
        if (row.created_at >= before.toISOString())
          for (const seq of JSON.parse(row.message_seqs) as number[]) kept.add(seq)
      const last = rows.at(-1)
      if (!last) return kept
      after = last.id
      await pause(0)
    }
  }

  /** Contexts that cannot be gone back to any more: they come in the order of their time. */
  async #forgetContexts(before: Date, stopped: () => boolean): Promise<void> {
    for (;;) {
      const page = sqlite
        .selectFrom('earlier_contexts')
        .select(['id', 'created_at'])
        .orderBy('id')
        .limit(PAGE)
      const rows = await this.#database.read((c) => c.all(page))
      const old = rows.filter((row) => row.created_at < before.toISOString()).map((row) => row.id)
      if (old.length === 0 || stopped()) return
      for (let i = 0; i < old.length; i += EARLIER_PAGE) {
        const some = old.slice(i, i + EARLIER_PAGE)
        await this.#database.write((tx) =>
          tx.run(sqlite.deleteFrom('earlier_contexts').where('id', 'in', some)),
        )
      }
    }
  }
}

/** Deletes these, but for those that an import has just put into a context. Answers how many went. */
function deleteUnused(tx: Transaction, messages: readonly OldMessage[]): number {
  const conversations = [...new Set(messages.map((message) => message.conversation_id))]
  const used = tx
    .all(
      sqlite
        .selectFrom('context_messages')
        .select('message_seq')
        .where('conversation_id', 'in', conversations)
        .where(
          'message_seq',
          'in',
          messages.map((message) => message.seq),
        ),
    )
    .map((row) => row.message_seq)
  const agents = [...new Set(messages.map((message) => message.agent_id))]
  const unfinished = tx
    .all(sqlite.selectFrom('deletions').select('agent_id').where('agent_id', 'in', agents))
    .map((row) => row.agent_id)
  const gone = messages.filter(({ seq, agent_id }) => !used.includes(seq) && !unfinished.includes(agent_id))
  for (const [agent_id, own] of Map.groupBy(gone, (message) => message.agent_id))
    deleteVectors(
      tx,
      agent_id,
      own.map((message) => message.seq),
    )
  const deleted = deleteMessageRows(
    tx,
    gone.map((message) => message.seq),
  )
  for (const [id, own] of Map.groupBy(gone, (message) => message.conversation_id))
    tx.run(
      sqlite
        .updateTable('conversations')
        .set((e) => ({ message_count: e('message_count', '-', own.length) }))
        .where('id', '=', id),
    )
  return deleted
}

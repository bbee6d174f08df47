import { type RawBuilder, sql, type SqlBool } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import { dataOf, readConversationRow, type Shared } from './conversation-rows.ts'
import type { Connection } from './query.ts'

/** A stretch of a conversation's history: what it wrote itself, or what it shares with one it was forked from. */
export interface Stretch extends Omit<Shared, 'up_to'> {
  /** Null: no end. */
  up_to: number | null
}

/**
 * The stretches of a conversation's history, oldest first. Each holds only messages that are newer than all of the
 * one before it: a fork writes after what it shares. Another or a deleted conversation has its own messages alone.
 */
export async function historyOf(
  connection: Connection,
  actor: Actor,
  conversation_id: string,
): Promise<Stretch[]> {
  const row = await readConversationRow(connection, actor, conversation_id)
  const own: Stretch = { conversation_id, after: row?.history_start ?? 0, up_to: null, system: 0 }
  return row ? [...(dataOf(row).shared ?? []).toReversed(), own] : [own]
}

/** Whether a message belongs to the stretch. */
export function inStretch({ conversation_id, after, up_to, system }: Stretch): RawBuilder<SqlBool> {
  const own = sql<SqlBool>`messages.conversation_id = ${conversation_id}`
  if (after === 0 && up_to === null) return own
  return sql<SqlBool>`(${own} and messages.seq > ${after}
    ${up_to === null ? sql`` : sql`and messages.seq <= ${up_to} and messages.seq <> ${system}`})`
}

/** Whether a message belongs to any of the stretches. */
export function inHistory(stretches: readonly Stretch[]): RawBuilder<SqlBool> {
  return sql<SqlBool>`(${sql.join(stretches.map(inStretch), sql` or `)})`
}

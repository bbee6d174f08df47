import type { Compaction, CompactionDetail } from '../../schema/compaction.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'

/** How large a conversation's context is for its model, as far as it is known. */
export interface ContextUsage {
  /** Handle of the model that counted. */
  model: string
  /** The provider's count for one of ours. */
  ratio: number
  /** The provider's count when the two were compared last; 0: never. */
  compared: number
  /** Of the context as it is now; null when it has been changed otherwise since. */
  tokens: number | null
}

/** Replaces the older part of a context: it becomes [system message, summary, what comes after `through`]. */
export interface ContextCompaction {
  /** Stored in the history, and in the place of what goes. */
  summary: StoredMessage
  /** The last message that leaves the context. All of them stay in the history. */
  through: string
  record: CompactionDetail
}

/** A compaction outside of a turn. */
export interface CompactConversation {
  agent_id: string
  conversation_id: string
  compaction: ContextCompaction
  /** New text of the system message. */
  system: { message_id: string; text: string }
  context_usage: ContextUsage
}

export interface CompactionStore {
  /**
   * Compacts a conversation in which no turn runs. Throws `not_found`, `conversation_busy` with `data.run_id`, and
   * `conflict` when `through` is not in its context any more.
   */
  compact(actor: Actor, change: CompactConversation): Promise<void>
  /** Records, newest or oldest first. Throws `not_found` for an unknown cursor. */
  list(
    actor: Actor,
    filter: { agent_id: string; conversation_id?: string },
    page: Page,
  ): Promise<Compaction[]>
  get(actor: Actor, compaction_id: string): Promise<CompactionDetail | null>
}

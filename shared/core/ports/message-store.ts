import type { MessageRole, StoredMessage } from '../../schema/message.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'
import type { SearchMode } from './passage-store.ts'

export interface MessageFilter {
  ids?: readonly string[] | undefined
  agent_id?: string | undefined
  agent_ids?: readonly string[] | undefined
  /** The agent's id for its default conversation. A fork's history begins with what it shares. */
  conversation_id?: string | undefined
  /** Only what the conversation's context holds now; with `conversation_id`. */
  in_context?: boolean | undefined
  run_id?: string | undefined
  /** Of the runs that a batch has begun. */
  batch_id?: string | undefined
  step_id?: string | undefined
  roles?: readonly MessageRole[] | undefined
  include_err?: boolean | undefined
}

export interface MessageSearch {
  /** Plain words; operators of the search engine are text. Absent: the newest messages. */
  query?: string | undefined
  /** Absent: of every agent. */
  agent_id?: string | undefined
  conversation_id?: string | undefined
  roles: MessageRole[]
  limit: number
  /** ISO 8601 instants; the end is exclusive. */
  start_date?: string | undefined
  end_date?: string | undefined
}

/** As `MessageSearch`, by words, by vectors or by both. */
export interface MessageFind extends MessageSearch {
  query: string
  mode: SearchMode
  /** The query's vector by embedding model; empty: by words. */
  vectors: ReadonlyMap<string, Float32Array>
}

/** A message and why it was found: its ranks count from 1; the score is that of reciprocal rank fusion. */
export interface MessageMatch {
  message: StoredMessage
  rrf_score: number
  vector_rank: number | null
  fts_rank: number | null
}

export interface MessageStore {
  /** Cursors as DESIGN decision 10: `after` is newer, `before` older, whatever the order. Throws `not_found` for an unknown cursor. */
  list(actor: Actor, filter: MessageFilter, page: Page): Promise<StoredMessage[]>
  search(actor: Actor, search: MessageSearch): Promise<StoredMessage[]>
  /** Best first; nothing for a query without text. */
  find(actor: Actor, search: MessageFind): Promise<MessageMatch[]>
}

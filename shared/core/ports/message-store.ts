import type { MessageRole, StoredMessage } from '../../schema/message.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'

export interface MessageFilter {
  ids?: readonly string[] | undefined
  agent_id?: string | undefined
  agent_ids?: readonly string[] | undefined
  /** The agent's id for its default conversation. A fork's history begins with what it shares. */
  conversation_id?: string | undefined
  /** Only what the conversation's context holds now; with `conversation_id`. */
  in_context?: boolean | undefined
  run_id?: string | undefined
  step_id?: string | undefined
  roles?: readonly MessageRole[] | undefined
  include_err?: boolean | undefined
}

export interface MessageSearch {
  /** Plain words; operators of the search engine are text. Absent: the newest messages. */
  query?: string | undefined
  agent_id: string
  conversation_id?: string | undefined
  roles: MessageRole[]
  limit: number
  /** ISO 8601 instants; the end is exclusive. */
  start_date?: string | undefined
  end_date?: string | undefined
}

export interface MessageStore {
  /** Cursors as DESIGN decision 10: `after` is newer, `before` older, whatever the order. Throws `not_found` for an unknown cursor. */
  list(actor: Actor, filter: MessageFilter, page: Page): Promise<StoredMessage[]>
  search(actor: Actor, search: MessageSearch): Promise<StoredMessage[]>
}

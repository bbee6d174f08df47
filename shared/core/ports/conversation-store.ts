import type { Agent } from '../../schema/agent.ts'
import type { Conversation, Rewound } from '../../schema/conversation.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { LlmConfig, ModelSettings } from '../../schema/model.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'

/** What a conversation has of its own instead of the agent's: the agent as it sees it is the agent with these. */
export type AgentOverride = { response_format?: Agent['response_format'] } & (
  | { model: string; llm_config: LlmConfig; model_settings: ModelSettings }
  | { model?: never; llm_config?: Partial<LlmConfig>; model_settings?: ModelSettings }
)

export interface NewConversation {
  id: string
  agent_id: string
  created_at: string
  summary: string | null
  /** As the client gave them, for who reads the conversation. */
  model: string | null
  model_settings: ModelSettings | null
  override: AgentOverride
  isolated_block_labels: readonly string[]
  hidden: boolean
  system_message: StoredMessage
}

export interface NewFork {
  id: string
  created_at: string
  hidden: boolean
  system_message: StoredMessage
  /** Share the context up to this message alone. */
  message_id: string | null
}

export type ConversationPatch = Partial<
  Pick<NewConversation, 'summary' | 'model' | 'model_settings' | 'override'> &
    Pick<Conversation, 'last_message_at'>
>

export interface ConversationFilter {
  agent_id?: string | undefined
  /** Substring, case-insensitive. */
  summary_search?: string | undefined
  order_by?: 'created_at' | 'last_run_completion' | 'last_message_at' | undefined
}

/**
 * Conversations of agents. An agent's default conversation has the agent's id; it is made and deleted with the agent,
 * and no list shows it. A deleted conversation is not found any more, but its messages and runs stay.
 */
export interface ConversationStore {
  /**
   * Creates it with private copies of the agent's blocks of these labels. Throws `not_found` for the agent and
   * `invalid_argument` for a label that none of its blocks has.
   */
  create(actor: Actor, conversation: NewConversation): Promise<Conversation>
  get(actor: Actor, conversation_id: string): Promise<Conversation | null>
  /** Newest first unless the page says otherwise. Throws `not_found` for an unknown cursor. */
  list(actor: Actor, filter: ConversationFilter, page: Page): Promise<Conversation[]>
  /** Those of an agent that wait for an approval, the default and hidden ones included. */
  waiting(actor: Actor, agent_id: string): Promise<string[]>
  update(actor: Actor, conversation_id: string, patch: ConversationPatch): Promise<Conversation | null>
  /** False when there is none, or it is an agent's default conversation. */
  delete(actor: Actor, conversation_id: string): Promise<boolean>
  /**
   * A new conversation of the same agent whose context is the source's, but for the system message. No message is
   * copied. Errors as `rewind`, but a turn of the source is not in the way.
   */
  fork(actor: Actor, conversation_id: string, fork: NewFork): Promise<Conversation>
  /**
   * Makes this message the last one in the context, with the returns of its tool calls. Nothing leaves the history. A
   * message that has left the context brings back the context as it was with it. Throws `not_found` for the
   * conversation or message, `conflict` when no context with the message is known, and `conversation_busy` with
   * `data.run_id` while a turn runs.
   */
  rewind(actor: Actor, conversation_id: string, message_id: string): Promise<Rewound>
}

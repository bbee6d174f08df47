import type { Agent, AgentRelation } from '../../schema/agent.ts'
import type { CreateBlock } from '../../schema/block.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'
import type { Deployment } from './template-store.ts'
import type { NewGroup } from './group-store.ts'
import type { BlockConflict, BlockEdit } from './turn-store.ts'

/** An agent before its first save: the row (`identity_ids` are linked), and what is created and linked with it in the same transaction. */
export interface NewAgent {
  agent: Omit<Agent, 'blocks' | 'tools' | 'tags' | 'message_ids'>
  tags: string[]
  /** Created with the agent, in this order, before `block_ids`. Labels must be unique in the agent. */
  new_blocks: CreateBlock[]
  block_ids: string[]
  tool_ids: string[]
  /** Attached with their files and the tools for files. */
  folder_ids?: string[]
  /** Names and values for the environment of its tools: `SecretStore`. */
  secrets?: Readonly<Record<string, string>>
  /** First message of the default conversation. */
  system_message: StoredMessage
  /** Those that follow it, in order. */
  first_messages?: StoredMessage[]
  /** An agent that looks after its memory, created with it. */
  companion?: Companion
  /** The template that it is made from. */
  deployment?: Deployment
}

/** A companion before its first save, with the group that it makes with the agent. It gets the agent's blocks too. */
export interface Companion {
  agent: NewAgent
  group: NewGroup
}

export type AgentPatch = Partial<
  Omit<Agent, 'id' | 'blocks' | 'tools' | 'message_ids' | 'secrets' | 'created_at' | 'created_by_id'>
> & {
  /** Replace the whole set when given. */
  block_ids?: string[]
  tool_ids?: string[]
  folder_ids?: string[]
  secrets?: Readonly<Record<string, string>>
}

export interface AgentFilter {
  name?: string | undefined
  tags?: string[] | undefined
  /** All of `tags` instead of any. */
  match_all_tags?: boolean | undefined
  /** Substring of the name, case-insensitive. */
  query_text?: string | undefined
  project_id?: string | undefined
  template_id?: string | undefined
  base_template_id?: string | undefined
  last_stop_reason?: string | undefined
  created_by_id?: string | undefined
  block_id?: string | undefined
  archive_id?: string | undefined
  /** Only those of this identity. */
  identity_id?: string | undefined
  /** Only those of any of these identities. */
  identifier_keys?: string[] | undefined
  show_hidden?: boolean | undefined
  order_by?: 'created_at' | 'updated_at' | 'last_run_completion' | undefined
}

export interface AgentStore {
  /** Throws `not_found` for an unknown block or tool id, `conflict` for two blocks of one label. */
  create(actor: Actor, agent: NewAgent): Promise<Agent>
  /** Throws `secrets_unreadable` when it is asked for secrets whose key is not here. */
  get(actor: Actor, agent_id: string, relations: readonly AgentRelation[]): Promise<Agent | null>
  list(actor: Actor, filter: AgentFilter, page: Page, relations: readonly AgentRelation[]): Promise<Agent[]>
  count(actor: Actor, filter: AgentFilter): Promise<number>
  /** Answers with all relations, but without secrets whose key is not here. */
  update(actor: Actor, agent_id: string, patch: AgentPatch): Promise<Agent | null>
  /** Gives an agent a companion; nothing happens when it leads a sleep-time group already. Throws `not_found`. */
  addCompanion(actor: Actor, agent_id: string, companion: Companion): Promise<void>
  /**
   * Deletes its conversations, messages, runs and steps too, the groups that it leads, and the companions in them that
   * are sleep-time agents; blocks, tools and archives stay. False when there was none.
   */
  delete(actor: Actor, agent_id: string): Promise<boolean>
  /**
   * Its companions get the block too, unless they have one of that label. Throws `not_found` for the agent or the block,
   * `conflict` when the agent has a block of that label.
   */
  attachBlock(actor: Actor, agent_id: string, block_id: string): Promise<void>
  detachBlock(actor: Actor, agent_id: string, block_id: string): Promise<void>
  /** Edits of its blocks outside of a turn, all of them or none. Throws `not_found`. */
  editBlocks(
    actor: Actor,
    agent_id: string,
    edits: readonly BlockEdit[],
  ): Promise<{ status: 'committed' } | BlockConflict>
  /** Distinct tags of agents and blocks, sorted by code point. Cursors are tags. */
  listTags(actor: Actor, filter: TagFilter, page: Page): Promise<string[]>
  /** Attaching twice is the same as once. A tool that asks for approval by itself brings its rule along. */
  attachTool(actor: Actor, agent_id: string, tool_id: string): Promise<void>
  detachTool(actor: Actor, agent_id: string, tool_id: string): Promise<void>
  /** Adds or removes the rule that calls of a tool wait for an approval. Throws `not_found` for the agent or its tool. */
  setToolApproval(actor: Actor, agent_id: string, tool_name: string, required: boolean): Promise<void>
}

export interface TagFilter {
  /** Exactly this one. */
  name?: string | undefined
  /** Substring, case-insensitive. */
  query_text?: string | undefined
}

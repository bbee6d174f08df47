import type { Agent } from '../../schema/agent.ts'
import type { Block } from '../../schema/block.ts'
import type { StoredMessage, StoredToolReturn } from '../../schema/message.ts'
import type { Tool, ToolSchema, ToolType } from '../../schema/tool.ts'
import type { FileLines } from '../../schema/folder.ts'
import type { Actor } from './actor.ts'
import type { AgentFile, FileMatch, OpenFileRequest } from './file-store.ts'
import type { MessageSearch } from './message-store.ts'
import type { PassageMatch, PassageSearch, SearchMode } from './passage-store.ts'

/** A tool that ships with Loci: seeded into every organisation, not editable, no source. */
export interface BuiltinTool {
  name: string
  tool_type: ToolType
  tags: string[]
  schema: ToolSchema
  enable_parallel_execution: boolean
}

/**
 * The agent's memory blocks as a turn sees them: reads see this turn's own edits; writes are committed with the step.
 * Every method throws a tool error that the model can read: for a label that is not there (it lists those that are), for
 * an edit of a read-only block, and for a label that is taken. A call that fails leaves no edit behind.
 */
export interface TurnMemory {
  readonly blocks: readonly Block[]
  get(label: string): Block
  set(label: string, value: string): void
  /** Makes a block and attaches it to the agent. */
  create(block: { label: string; value: string; description: string | null }): void
  /** Takes a block from the agent; the block itself stays. */
  detach(label: string): void
  rename(label: string, to: string): void
  describe(label: string, description: string): void
}

/**
 * Messages from the agent of a turn to other agents of its organisation. Every method throws a tool error that the model
 * can read: for an agent that is not there, a circle of agents that wait for each other, a chain of messages that has
 * gone on for too long, an agent that stays busy.
 */
export interface AgentMessaging {
  /** Sends a message and resolves with what the agent answers. An abort cancels the agent's turn. */
  ask(agent_id: string, message: string, options: { signal: AbortSignal }): Promise<string>
  /** Sends a message and resolves once it is stored and the agent's turn has begun. */
  tell(agent_id: string, message: string, options: { signal: AbortSignal }): Promise<void>
  /** As `ask`, of all agents with all tags of one list and any of the other; one that fails answers with its error. */
  askTagged(
    tags: { all: readonly string[]; some: readonly string[] },
    message: string,
    options: { signal: AbortSignal },
  ): Promise<{ agent_id: string; response: string }[]>
}

/** The files of the agent of a turn. What is opened and closed is so at once, whatever becomes of the step. */
export interface TurnFiles {
  list(): Promise<AgentFile[]>
  /** As `FileStore.open`, up to what the agent may have open. */
  open(requests: readonly OpenFileRequest[], options: { close_others: boolean }): Promise<string[]>
  /** As `FileStore.read`. */
  read(
    file_id: string,
    range: { start_line: number; end_line: number | null; max_chars: number },
  ): Promise<FileLines | null>
  /** Best first; `mode` says how it was done. */
  search(query: string, limit: number): Promise<{ mode: SearchMode; matches: FileMatch[] }>
  /** Notes that these files were just used. */
  touch(file_ids: readonly string[]): Promise<void>
}

export interface ToolCallInput {
  actor: Actor
  tool: Tool
  arguments: Record<string, unknown>
  agent: Agent
  /** The run that calls; null outside of one. */
  run_id: string | null
  /** As the model calls this call; absent where no model made it. */
  call_id?: string
  memory: TurnMemory
  /** Searches the agent's stored messages; the results are newest first within equal rank. */
  searchMessages(query: MessageSearch): Promise<StoredMessage[]>
  /** Stored in the agent's default archive together with the step; a later call of the same step does not find it yet. */
  insertPassage(passage: { text: string; tags: string[] }): void
  searchPassages(search: Omit<PassageSearch, 'agent_id'>): Promise<PassageMatch[]>
  messaging: AgentMessaging
  files: TurnFiles
  /**
   * The agent's secrets by name. Throws `secrets_unreadable`. What the call returns, prints or throws is stored without
   * their values.
   */
  secrets(): Promise<Readonly<Record<string, string>>>
  now: Date
}

/** What became of a call that was run. */
export interface ToolOutcome extends ToolResult {
  /**
   * New values of the agent's blocks by label, which the caller is to write. Only of tools that run once: when a block
   * was changed meanwhile, these are written again, and the call is not repeated.
   */
  memory_edits?: Record<string, string>
}

export type ToolResult = Pick<StoredToolReturn, 'status' | 'func_response' | 'stdout' | 'stderr'>

export interface ToolRunner {
  readonly builtins: readonly BuiltinTool[]
  /** A thrown error becomes an error return that the model reads; it never breaks the turn. */
  run(call: ToolCallInput, options: { signal: AbortSignal } & Partial<ProgressOptions>): Promise<ToolOutcome>
}

/** Hears, a sentence each, of what takes long before a call begins. */
export interface ProgressOptions {
  onProgress: (text: string) => void
}

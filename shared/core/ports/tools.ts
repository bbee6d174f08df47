import type { Agent } from '../../schema/agent.ts'
import type { Block } from '../../schema/block.ts'
import type { StoredMessage, StoredToolReturn } from '../../schema/message.ts'
import type { Tool, ToolSchema, ToolType } from '../../schema/tool.ts'
import type { MessageSearch } from './message-store.ts'
import type { PassageMatch, PassageSearch } from './passage-store.ts'

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

export interface ToolCallInput {
  tool: Tool
  arguments: Record<string, unknown>
  agent: Agent
  /** The run that calls. */
  run_id: string
  memory: TurnMemory
  /** Searches the agent's stored messages; the results are newest first within equal rank. */
  searchMessages(query: MessageSearch): Promise<StoredMessage[]>
  /** Stored in the agent's default archive together with the step; a later call of the same step does not find it yet. */
  insertPassage(passage: { text: string; tags: string[] }): void
  searchPassages(search: Omit<PassageSearch, 'agent_id'>): Promise<PassageMatch[]>
  now: Date
}

export type ToolResult = Pick<StoredToolReturn, 'status' | 'func_response' | 'stdout' | 'stderr'>

export interface ToolRunner {
  readonly builtins: readonly BuiltinTool[]
  /** A thrown error becomes an error return that the model reads; it never breaks the turn. */
  run(call: ToolCallInput, options: { signal: AbortSignal }): Promise<ToolResult>
}

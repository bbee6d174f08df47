import type { Page } from '../../schema/page.ts'
import type { Tool, ToolType } from '../../schema/tool.ts'
import type { Actor } from './actor.ts'
import type { BuiltinTool } from './tools.ts'

export interface ToolFilter {
  name?: string | undefined
  names?: string[] | undefined
  tool_ids?: string[] | undefined
  /** Substring of the name, case-insensitive. */
  search?: string | undefined
  tool_types?: ToolType[] | undefined
  exclude_tool_types?: ToolType[] | undefined
  agent_id?: string | undefined
}

/** New fields of a tool; absent ones stay. */
export type ToolPatch = Partial<
  Omit<Tool, 'id' | 'tool_type' | 'project_id' | 'created_by_id' | 'last_updated_by_id'>
>

export interface ToolStore {
  /** Makes sure the organisation has exactly these built-in tools; existing ids are kept. */
  seed(actor: Actor, builtins: readonly BuiltinTool[]): Promise<void>
  get(actor: Actor, tool_id: string): Promise<Tool | null>
  list(actor: Actor, filter: ToolFilter, page: Page): Promise<Tool[]>
  count(actor: Actor, filter: ToolFilter): Promise<number>
  /**
   * Stores a tool under its name, or changes the one of that name by `patch`, which keeps its id; nothing is written when
   * nothing changes. Throws `invalid_argument` when a tool of another type has the name.
   */
  upsert(actor: Actor, tool: Tool, patch: ToolPatch): Promise<Tool>
  /**
   * Null when there is none. A new name goes into the tool rules of the agents that have it; throws `invalid_argument`
   * when another tool has that name.
   */
  update(actor: Actor, tool_id: string, patch: ToolPatch): Promise<Tool | null>
  /** Takes it from its agents, too. False when there was none. */
  delete(actor: Actor, tool_id: string): Promise<boolean>
}

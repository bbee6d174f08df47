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

export interface ToolStore {
  /** Makes sure the organisation has exactly these built-in tools; existing ids are kept. */
  seed(actor: Actor, builtins: readonly BuiltinTool[]): Promise<void>
  get(actor: Actor, tool_id: string): Promise<Tool | null>
  list(actor: Actor, filter: ToolFilter, page: Page): Promise<Tool[]>
  count(actor: Actor, filter: ToolFilter): Promise<number>
}

import type { DebugRun, DebugState } from '../../schema/tool-debug.ts'
import type { Tool } from '../../schema/tool.ts'
import type { Actor } from './actor.ts'
import type { SourceLanguage } from './custom-tools.ts'

/**
 * Lets a developer's debugger stop the next call of a tool in the developer's own file. Of this process: a call that
 * another process makes is not stopped.
 */
export interface ToolDebugger {
  /**
   * Arms one call of the tool. Throws `invalid_argument` for a path that is no file of its language or holds another tool,
   * `forbidden` where others can reach this process, and `conflict` while one is armed or under way.
   */
  arm(
    actor: Actor,
    tool: Pick<Tool, 'id' | 'name'> & { source_type: SourceLanguage },
    path: string,
  ): Promise<DebugRun>
  /** The one that was armed last; null: none was. */
  get(actor: Actor, tool_id: string): DebugRun | null
  /** Resolves with it once its state is another one than `state`, or `signal` aborts. */
  changed(actor: Actor, tool_id: string, state: DebugState, signal: AbortSignal): Promise<DebugRun | null>
  /** Ends it: what is armed is so no more, and a call that is under way fails. False when there is none. */
  cancel(actor: Actor, tool_id: string): boolean
}

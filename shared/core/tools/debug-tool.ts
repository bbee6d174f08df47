import type { DebugRun, DebugState } from '../../schema/tool-debug.ts'
import { AppError } from '../../schema/errors.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { isLanguage } from '../ports/tool-code.ts'
import { customTools } from './own-tools.ts'

/**
 * Lets a debugger stop the next call of a tool, in the developer's own file. Null when there is no such tool. Throws
 * `invalid_argument` for a tool without code, and as `ToolDebugger.arm`.
 */
export async function debugTool(
  deps: CoreDeps,
  actor: Actor,
  tool_id: string,
  path: string,
): Promise<DebugRun | null> {
  const tool = await deps.store.tools.get(actor, tool_id)
  if (!tool) return null
  const { id, name, source_type, tool_type } = tool
  if (tool_type !== 'custom' || !isLanguage(source_type))
    throw new AppError(
      'invalid_argument',
      `The tool '${name}' (${tool_type}) has no code that could be debugged.`,
    )
  return (await customTools(deps).debugger()).arm(actor, { id, name, source_type }, path)
}

/** The debug run of a tool, once its state is another one than `state` (given none: at once). Null: there was none. */
export async function debugRunOf(
  deps: CoreDeps,
  actor: Actor,
  tool_id: string,
  { state, signal }: { state?: DebugState | undefined; signal: AbortSignal },
): Promise<DebugRun | null> {
  const runs = await customTools(deps).debugger()
  if (state === undefined) return runs.get(actor, tool_id)
  return runs.changed(actor, tool_id, state, signal)
}

/** Ends the debug run of a tool. False when there is none to end. */
export async function endDebugRun(deps: CoreDeps, actor: Actor, tool_id: string): Promise<boolean> {
  return (await customTools(deps).debugger()).cancel(actor, tool_id)
}

import type { Agent } from '../schema/agent.ts'
import { isAppError, messageOf } from '../schema/errors.ts'
import type { StoredToolCall, StoredToolReturn } from '../schema/message.ts'
import type { Tool } from '../schema/tool.ts'
import type { WorkingMemory } from './memory.ts'
import { clip } from './messages.ts'
import type { CoreDeps, Actor, ToolResult } from './ports.ts'

/** Characters of an error that reach the model (reference 3.4). */
const MAX_ERROR_CHARS = 1000

/** Tools whose return is never cut: they bound it themselves (reference 3.4). */
const UNCUT = new Set(['conversation_search', 'archival_memory_search'])

/** One executed call, kept so that it can be run again when the memory it used has changed meanwhile. */
export interface ExecutedCall {
  call: StoredToolCall
  result: StoredToolReturn
  touched_memory: boolean
}

export interface ToolCallScope {
  actor: Actor
  agent: Agent
  run_id: string
  memory: WorkingMemory
  deps: CoreDeps
  signal: AbortSignal
}

/**
 * Runs the calls of one answer in the order the model asked, those that may run side by side together. A failing,
 * unknown or malformed call is an error return that the model reads; only an abort throws.
 */
export async function runToolCalls(
  calls: readonly StoredToolCall[],
  scope: ToolCallScope,
): Promise<ExecutedCall[]> {
  const together = new Map<string, Promise<ExecutedCall>>()
  for (const call of calls) {
    const tool = findTool(scope.agent, call)
    if (tool?.enable_parallel_execution && calls.length > 1) together.set(call.id, runToolCall(call, scope))
  }
  const done: ExecutedCall[] = []
  for (const call of calls) {
    const running = together.get(call.id)
    if (running) await Promise.all(together.values())
    done.push(await (running ?? runToolCall(call, scope)))
  }
  return done
}

/** The calls again, after the blocks they used were changed by somebody else; the others keep their result. */
export async function runAgain(
  executed: readonly ExecutedCall[],
  scope: ToolCallScope,
): Promise<ExecutedCall[]> {
  const done: ExecutedCall[] = []
  for (const item of executed) done.push(item.touched_memory ? await runToolCall(item.call, scope) : item)
  return done
}

async function runToolCall(call: StoredToolCall, scope: ToolCallScope): Promise<ExecutedCall> {
  scope.memory.takeTouched()
  const result = await execute(call, scope)
  scope.signal.throwIfAborted()
  return {
    call,
    result: { tool_call_id: call.id, name: call.function.name, ...result },
    touched_memory: scope.memory.takeTouched(),
  }
}

async function execute(call: StoredToolCall, scope: ToolCallScope): Promise<ToolResult> {
  const name = call.function.name
  const tool = findTool(scope.agent, call)
  if (!tool) {
    const names = scope.agent.tools.map((t) => t.name).join(', ')
    return failed(name, `there is no tool '${name}'; the tools are: ${names === '' ? 'none' : names}`)
  }
  const parsed = parseArguments(call.function.arguments)
  if (typeof parsed === 'string') return failed(name, parsed)
  try {
    const result = await scope.deps.tools.run(
      {
        tool,
        arguments: parsed,
        agent: scope.agent,
        run_id: scope.run_id,
        memory: scope.memory,
        searchMessages: (query) => scope.deps.store.messages.search(scope.actor, query),
        now: scope.deps.clock.now(),
      },
      { signal: scope.signal },
    )
    return cut(tool, result)
  } catch (error) {
    if (scope.signal.aborted) throw error
    return failed(name, messageOf(error), isAppError(error) ? 'ToolError' : 'Error')
  }
}

function findTool(agent: Agent, call: StoredToolCall): Tool | undefined {
  return agent.tools.find((tool) => tool.name === call.function.name)
}

/** The arguments object, or what is wrong with the text. An empty text is no arguments. */
function parseArguments(text: string): Record<string, unknown> | string {
  if (text.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return `the arguments are not valid JSON (${messageOf(error)}); send one JSON object`
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'the arguments must be one JSON object'
  return value as Record<string, unknown>
}

function failed(name: string, text: string, kind = 'ToolError'): ToolResult {
  const message = `Error executing function ${name}: ${kind}: ${text}`
  return { status: 'error', func_response: clip(message, MAX_ERROR_CHARS) }
}

function cut(tool: Tool, result: ToolResult): ToolResult {
  if (UNCUT.has(tool.name) || typeof result.func_response !== 'string') return result
  if (result.func_response.length <= tool.return_char_limit) return result
  const text = clip(result.func_response, tool.return_char_limit)
  return { ...result, func_response: `${text} (this tool's limit is ${tool.return_char_limit} characters)` }
}

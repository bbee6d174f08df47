import type { Agent } from '../../schema/agent.ts'
import { isAppError, messageOf } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { ContentPart, StoredToolCall, StoredToolReturn } from '../../schema/message.ts'
import type { Tool, ToolSchema } from '../../schema/tool.ts'
import type { CallMemory, WorkingMemory } from '../memory.ts'
import { clip } from '../messages.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { NewPassage } from '../ports/passage-store.ts'
import type { ToolResult } from '../ports/tools.ts'

/** Characters of an error that reach the model (reference 3.4). */
const MAX_ERROR_CHARS = 1000

/** Tools whose return is never cut: they bound it themselves (reference 3.4). */
const UNCUT = new Set(['conversation_search', 'archival_memory_search'])

/** Arguments that belong to the loop, not to the tool (reference 3.2). */
const LOOP_ARGUMENTS = new Set(['request_heartbeat', 'thinking', 'inner_thoughts'])

/** One executed call, kept so that it can be run again when the memory it used has changed meanwhile. */
export interface ExecutedCall {
  call: StoredToolCall
  result: StoredToolReturn
  touched_memory: boolean
  /** For archival memory, stored with the step. */
  passages: NewPassage[]
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
  // By position: a model may give two calls one id.
  const together = calls.map((call) =>
    calls.length > 1 && findTool(scope.agent, call)?.enable_parallel_execution
      ? runToolCall(call, scope)
      : null,
  )
  // A call that is aborted while another one is waited for must not be a rejection that nobody hears.
  const settled = Promise.allSettled(together.filter((promise) => promise !== null))
  const done: ExecutedCall[] = []
  for (const [i, call] of calls.entries()) {
    if (together[i]) await settled
    done.push(await (together[i] ?? runToolCall(call, scope)))
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
  const memory = scope.memory.forCall()
  const passages: NewPassage[] = []
  const result = await execute(call, scope, memory, passages)
  scope.signal.throwIfAborted()
  // A call that failed half way leaves nothing behind.
  const failed = result.status === 'error'
  if (failed) memory.undo()
  return {
    call,
    result: { tool_call_id: call.id, name: call.function.name, ...result },
    touched_memory: memory.touched,
    passages: failed ? [] : passages,
  }
}

async function execute(
  call: StoredToolCall,
  scope: ToolCallScope,
  memory: CallMemory,
  passages: NewPassage[],
): Promise<ToolResult> {
  const name = call.function.name
  const { actor, agent, deps, run_id, signal } = scope
  const tool = findTool(agent, call)
  if (!tool) {
    const names = agent.tools.map((t) => t.name).join(', ')
    return failed(name, `there is no tool '${name}'; the tools are: ${names === '' ? 'none' : names}`)
  }
  const parsed = parseArguments(call.function.arguments)
  if (typeof parsed === 'string') return failed(name, parsed)
  const now = deps.clock.now()
  try {
    const result = await deps.tools.run(
      {
        tool,
        arguments: ownArguments(tool, parsed),
        agent,
        run_id,
        memory,
        searchMessages: (query) => deps.store.messages.search(actor, query),
        insertPassage: ({ text, tags }) => {
          passages.push({
            id: newId('passage'),
            text: storable(text),
            tags: tags.map(storable),
            metadata: {},
            created_at: now.toISOString(),
          })
        },
        searchPassages: (search) => deps.store.passages.search(actor, { ...search, agent_id: agent.id }),
        now,
      },
      { signal },
    )
    return cut(tool, result)
  } catch (error) {
    if (signal.aborted) throw error
    return failed(name, messageOf(error), kindOf(error))
  }
}

/** Text as every engine can store it. */
function storable(text: string): string {
  return text.replaceAll('\0', '').toWellFormed()
}

/** The exception type that the error text names. */
function kindOf(error: unknown): string {
  if (isAppError(error)) return typeof error.data['kind'] === 'string' ? error.data['kind'] : 'ToolError'
  return error instanceof Error ? error.name : 'Error'
}

function findTool(agent: Agent, call: StoredToolCall): Tool | undefined {
  return agent.tools.find((tool) => tool.name === call.function.name)
}

/** Without what models of the older loops add to every call, unless the tool has an argument of that name. */
function ownArguments(tool: Tool, given: Record<string, unknown>): Record<string, unknown> {
  const parameters = tool.json_schema?.['parameters'] as ToolSchema['parameters'] | undefined
  const own = Object.entries(given).filter(
    ([name]) => !LOOP_ARGUMENTS.has(name) || Object.hasOwn(parameters?.properties ?? {}, name),
  )
  return Object.fromEntries(own)
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
  if (message.length <= MAX_ERROR_CHARS) return { status: 'error', func_response: message }
  // Room for the note of how much is missing.
  return { status: 'error', func_response: clip(message, MAX_ERROR_CHARS - 40) }
}

/** A return is cut to what its tool may say, with a note of the limit. */
function cut(tool: Tool, result: ToolResult): ToolResult {
  const limit = tool.return_char_limit
  const { func_response } = result
  if (UNCUT.has(tool.name)) return result
  const note = ` (this tool's limit is ${limit} characters)`
  if (typeof func_response === 'string') {
    if (func_response.length <= limit) return result
    return { ...result, func_response: clip(func_response, limit) + note }
  }
  let left = limit
  const parts = func_response.flatMap((part): ContentPart[] => {
    if (part.type !== 'text') return [part]
    const room = left
    left = Math.max(0, left - part.text.length)
    if (part.text.length <= room) return [part]
    return room === 0 ? [] : [{ ...part, text: clip(part.text, room) + note }]
  })
  return { ...result, func_response: parts }
}

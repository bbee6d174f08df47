import { findMessages, findPassages } from '../search/find.ts'
import type { Agent } from '../../schema/agent.ts'
import { isAppError, messageOf } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { ContentPart, StoredApproval, StoredToolCall, StoredToolReturn } from '../../schema/message.ts'
import type { Tool, ToolSchema } from '../../schema/tool.ts'
import type { CallMemory, WorkingMemory } from '../memory.ts'
import { clip, maxReturnChars } from '../messages.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { NewPassage } from '../ports/passage-store.ts'
import type {
  AgentMessaging,
  ProgressOptions,
  ToolCallInput,
  ToolOutcome,
  ToolResult,
} from '../ports/tools.ts'
import { decidedResult, isApproved } from '../ports/open-calls.ts'
import { turnFiles } from '../files/turn-files.ts'
import { maskResult, maskText } from '../tools/mask.ts'
import { applyEdits, type MemoryEdit } from '../tools/memory-edits.ts'
import { ruleText } from '../prompt.ts'
import { wrongPrefilled } from './prefilled.ts'
import { wellFormed } from './stream-text.ts'
import type { ToolRules } from './tool-rules.ts'

/** Characters of an error that reach the model (reference 3.4). */
const MAX_ERROR_CHARS = 1000

/** Tools whose return is never cut: they bound it themselves (reference 3.4). */
const UNCUT = new Set(['conversation_search', 'archival_memory_search'])

/** Arguments that belong to the loop, not to the tool (reference 3.2). */
const LOOP_ARGUMENTS = new Set(['request_heartbeat', 'thinking', 'inner_thoughts'])

/**
 * What became of a call: it was made (whether or not its tool failed), its name or arguments mean nothing, a tool rule
 * refused it, the user denied it, or the agent's own rules make it unusable (prefilled arguments that its tool does not
 * take).
 */
export type CallOutcome = 'made' | 'unreadable' | 'refused' | 'denied' | 'unusable'

/** One executed call, kept so that it can be run again when the memory it used has changed meanwhile. */
export interface ExecutedCall {
  call: StoredToolCall
  result: StoredToolReturn
  outcome: CallOutcome
  touched_memory: boolean
  /** What it returned and what it did to memory, of a call that is never made twice. */
  once?: { result: ToolResult; edits: MemoryEdit[] }
  /** For archival memory, stored with the step. */
  passages: NewPassage[]
}

export interface ToolCallScope {
  actor: Actor
  agent: Agent
  /** Null outside of a run. */
  run_id: string | null
  memory: WorkingMemory
  rules: ToolRules
  /** Names of tools that the client runs. */
  client?: ReadonlySet<string>
  /** What was decided about calls of a step that waited for it, by call id. */
  decisions?: ReadonlyMap<string, StoredApproval>
  messaging: AgentMessaging
  deps: CoreDeps
  signal: AbortSignal
  /** Hears of what takes long before a call begins. */
  onProgress?: (call: StoredToolCall, text: string) => void
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

/**
 * The calls again, after the blocks they used were changed by somebody else; the others keep their result. Of those that
 * are made once only, what they did to memory is done again.
 */
export async function runAgain(
  executed: readonly ExecutedCall[],
  scope: ToolCallScope,
): Promise<ExecutedCall[]> {
  const done: ExecutedCall[] = []
  for (const item of executed) {
    const { call, once, touched_memory } = item
    if (once) {
      const result = applyEdits(scope.memory, once.edits, once.result)
      done.push({ ...item, result: { ...item.result, ...stored(result, findTool(scope.agent, call)) } })
    } else done.push(touched_memory ? await runToolCall(call, scope) : item)
  }
  return done
}

async function runToolCall(call: StoredToolCall, scope: ToolCallScope): Promise<ExecutedCall> {
  const memory = scope.memory.forCall()
  const passages: NewPassage[] = []
  const { outcome, once, ...result } = await execute(call, scope, memory, passages)
  scope.signal.throwIfAborted()
  // A call that failed half way leaves nothing behind.
  const failed = result.status === 'error'
  if (failed) memory.undo()
  return {
    call,
    result: {
      tool_call_id: call.id,
      name: call.function.name,
      ...result,
      func_response: readable(result.func_response),
      ...(outcome === 'made' ? {} : { not_made: true as const }),
    },
    outcome,
    touched_memory: memory.touched,
    ...(once ? { once } : {}),
    passages: failed ? [] : passages,
  }
}

/** Finds the tool and what speaks against the call, then runs it. */
async function execute(
  call: StoredToolCall,
  scope: ToolCallScope,
  memory: CallMemory,
  passages: NewPassage[],
): Promise<ToolResult & Pick<ExecutedCall, 'outcome' | 'once'>> {
  const name = call.function.name
  const { agent, rules, decisions, signal } = scope
  const decided = decisions?.get(call.id)
  if (decided && !isApproved(decided)) {
    const result = cut(decidedResult(decided), maxReturnChars(agent.llm_config.context_window))
    return { ...result, outcome: decided.type === 'tool' ? 'made' : 'denied' }
  }
  const remote = scope.client?.has(name) === true
  const tool = remote ? undefined : findTool(agent, call)
  if (!tool && !remote) {
    const names = [...agent.tools.map((t) => t.name), ...(scope.client ?? [])].join(', ')
    const text = `there is no tool '${name}'; the tools are: ${names === '' ? 'none' : names}`
    return { ...failed(name, text), outcome: 'unreadable' }
  }
  // A call that waited for approval was held against the rules when it was asked for.
  const valid = rules.valid()
  if (!decisions && !valid.includes(name)) {
    return { ...failed(name, refusal(name, valid, rules), 'ToolRuleError'), outcome: 'refused' }
  }
  const parsed = parseArguments(call.function.arguments)
  if (typeof parsed === 'string') return { ...failed(name, parsed), outcome: 'unreadable' }
  if (!tool) {
    const text = 'it runs where the client is, which sent no return for it'
    return { ...failed(name, text), outcome: 'unreadable' }
  }
  const prefilled = rules.prefilled(name)
  const wrong = prefilled && wrongPrefilled(tool, prefilled)
  if (wrong) {
    const text = `a tool rule of this agent gives this tool arguments that it does not take: ${wrong}`
    return { ...failed(name, text, 'ToolRuleError'), outcome: 'unusable' }
  }
  const secrets = secretsOf(scope)
  const seen = scope.memory.forCall().blocks
  try {
    const { memory_edits, ...returned } = await runTool(
      tool,
      { ...ownArguments(tool, parsed), ...prefilled },
      scope,
      {
        id: call.id,
        memory,
        passages,
        secrets: secrets.read,
        onProgress: (text) => scope.onProgress?.(call, text),
      },
    )
    const result = maskResult(returned, secrets.known())
    if (!memory_edits) return { ...stored(result, tool), outcome: 'made' }
    const edits = Object.entries(memory_edits).map(([label, after]) => ({
      label,
      before: seen.find((block) => block.label === label)?.value ?? '',
      after: maskText(after, secrets.known()),
    }))
    return {
      ...stored(applyEdits(scope.memory, edits, result), tool),
      outcome: 'made',
      once: { result, edits },
    }
  } catch (error) {
    if (signal.aborted) throw error
    return { ...failed(name, maskText(messageOf(error), secrets.known()), kindOf(error)), outcome: 'made' }
  }
}

/** The return of a tool as it is kept: no longer than the tool says. */
function stored(result: ToolResult, tool: Tool | undefined): ToolResult {
  return !tool || UNCUT.has(tool.name) ? result : cut(result, tool.return_char_limit)
}

/** The secrets of the agent, read when a tool wants them. */
function secretsOf({ actor, agent, deps }: ToolCallScope) {
  let values: Readonly<Record<string, string>> = {}
  let reading: Promise<Readonly<Record<string, string>>> | null = null
  return {
    read: () =>
      (reading ??= deps.store.secrets.values(actor, agent.id).then((read) => {
        values = read
        return read
      })),
    /** Those that were read. */
    known: () => values,
  }
}

function runTool(
  tool: Tool,
  args: Record<string, unknown>,
  { actor, agent, deps, messaging, run_id, signal }: ToolCallScope,
  call: {
    id: string
    memory: CallMemory
    passages: NewPassage[]
    secrets: ToolCallInput['secrets']
  } & ProgressOptions,
): Promise<ToolOutcome> {
  const now = deps.clock.now()
  return deps.tools.run(
    {
      actor,
      tool,
      arguments: args,
      agent,
      run_id,
      call_id: call.id,
      memory: call.memory,
      secrets: call.secrets,
      searchMessages: async (search) => {
        const { query = '' } = search
        if (query.trim() === '') return deps.store.messages.search(actor, search)
        const { matches } = await findMessages(deps, actor, { ...search, query, mode: 'hybrid' })
        return matches.map(({ message }) => message)
      },
      insertPassage: ({ text, tags }) => {
        call.passages.push({
          id: newId('passage'),
          text: wellFormed(text),
          tags: tags.map(wellFormed),
          metadata: {},
          created_at: now.toISOString(),
        })
      },
      searchPassages: async (search) =>
        (await findPassages(deps, actor, { ...search, agent_id: agent.id })).matches,
      messaging,
      files: turnFiles(deps, actor, agent),
      now,
    },
    { signal, onProgress: call.onProgress },
  )
}

/** What the model is told of a call that its rules do not allow now. */
function refusal(name: string, valid: readonly string[], rules: ToolRules): string {
  const instead = valid.length === 0 ? 'no tool can be called any more' : `call one of: ${valid.join(', ')}`
  const hints = rules.concerning(name).flatMap((rule) => ruleText(rule) ?? [])
  return [`${name} cannot be called now; ${instead}.`, ...hints].join(' ')
}

/** What a tool returned as every engine can store it. */
function readable(response: ToolResult['func_response']): ToolResult['func_response'] {
  if (typeof response === 'string') return wellFormed(response)
  return response.map((part) => (part.type === 'text' ? { ...part, text: wellFormed(part.text) } : part))
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
export function parseArguments(text: string): Record<string, unknown> | string {
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
function cut(result: ToolResult, limit: number): ToolResult {
  const { func_response } = result
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

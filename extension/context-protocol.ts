/**
 * What crosses between the Context panel's two sides. The host keeps what the server said last; the webview gets
 * sizes and headings (a snapshot after every change), and asks for a text when the user opens it.
 */
import type { Compaction, CompactionMode } from '../shared/schema/compaction.ts'

/** The parts of a context, in the order in which the model sees them. */
export const PART_KINDS = [
  'system',
  'blocks',
  'rules',
  'directories',
  'metadata',
  'tools',
  'summary',
  'messages',
] as const
export type PartKind = (typeof PART_KINDS)[number]

/** One thing in a part: a block, a tool, a message. */
export interface ContextItem {
  /** Unique in its part, and the same after a change elsewhere. */
  key: string
  title: string
  /** Its first words, or its size and limit. */
  detail: string
  /** Its share of the part, by its length. */
  tokens: number
}

export interface ContextPart {
  kind: PartKind
  tokens: number
  items: ContextItem[]
}

export interface ContextRun {
  id: string
  status: 'created' | 'running' | 'completed' | 'failed' | 'cancelled'
  stop_reason: string | null
  /** First words of the message that it answers; null when that is not in context (any more). */
  about: string | null
  created_at: string
  duration_ms: number | null
  first_token_ms: number | null
}

/** One model call of a run and the tools that it called. Times are milliseconds, `start_ms` from the run's beginning. */
export interface ContextStep {
  id: string
  status: string
  stop_reason: string | null
  model: string | null
  start_ms: number
  duration_ms: number | null
  model_start_ms: number | null
  model_ms: number | null
  tools_ms: number | null
  prompt_tokens: number
  completion_tokens: number
  cached_tokens: number | null
  reasoning_tokens: number | null
  cost_usd: number | null
  /** A sentence about what failed. */
  error: string | null
}

/** Pretty JSON; null when it is not kept any more. */
export interface StepTrace {
  request: string
  response: string
}

/** Which conversation of which agent. */
export interface ContextTarget {
  agentId: string
  /** Null for the default conversation. */
  conversationId: string | null
}

/** All that the panel shows but for the texts. */
export interface ContextSnapshot {
  conversationId: string | null
  /** Null when the agent (or this conversation of it) does not exist any more. */
  agent: { name: string; model: string | null; mode: CompactionMode } | null
  conversations: { id: string | null; title: string }[]
  /** Tokens. `limit` is the agent's, `model` what its model can read at most, where that is known. */
  window: { used: number; limit: number; model: number | null }
  messages: number
  parts: ContextPart[]
  /** Newest first. */
  compactions: Compaction[]
  runs: ContextRun[]
  /** Since when a compaction that was asked for here is under way, in milliseconds since 1970. */
  compacting: number | null
}

/** What Compact Now did. */
export interface CompactionOutcome {
  summary: string
  num_messages_before: number
  num_messages_after: number
}

export interface ContextRequests {
  'context.open': { params: { conversationId: string | null }; result: ContextSnapshot }
  /** What the model sees of an item. */
  'context.text': { params: { kind: PartKind; key: string }; result: string }
  /** Answers when it is done; null when it was cancelled. */
  'context.compact': { params: { mode: CompactionMode }; result: CompactionOutcome | null }
  'context.cancel': { params: null; result: null }
  /** The summary that a compaction left. */
  'compaction.summary': { params: { messageId: string }; result: string }
  /** The runs before this one, newest first. */
  'runs.earlier': { params: { before: string }; result: ContextRun[] }
  'run.steps': { params: { runId: string }; result: ContextStep[] }
  'step.trace': { params: { stepId: string }; result: StepTrace | null }
}
export type ContextMethod = keyof ContextRequests

export interface ContextCommands {
  'logs.show': null
  /** The chat with this conversation. */
  'chat.show': null
  /** A text in an editor, to read, search and copy. `name` becomes the name of the tab. */
  'text.show': { name: string; text: string }
}

export type ContextToHost =
  | {
      [M in ContextMethod]: {
        kind: 'request'
        id: number
        method: M
        params: ContextRequests[M]['params']
      }
    }[ContextMethod]
  | {
      [C in keyof ContextCommands]: { kind: 'command'; command: C; params: ContextCommands[C] }
    }[keyof ContextCommands]
export type ContextRequest = Extract<ContextToHost, { kind: 'request' }>

export type ContextToWebview =
  | { kind: 'reply'; id: number; result: unknown }
  | { kind: 'reply'; id: number; error: string }
  | { kind: 'snapshot'; snapshot: ContextSnapshot }

/** What the webview keeps with VS Code: it survives hiding, moving and reloading the window. */
export interface ContextState extends ContextTarget {
  tab: number
  /** Keys of what is unfolded. */
  open: string[]
}

/** Reads an envelope from the webview; null for anything that is not one. */
export function parseContextToHost(value: unknown): ContextToHost | null {
  if (!isObject(value)) return null
  const { kind, id, method, command, params } = value
  if (kind === 'command') {
    if (command === 'logs.show' || command === 'chat.show') return { kind, command, params: null }
    const { name, text } = isObject(params) ? params : {}
    if (command !== 'text.show' || typeof name !== 'string' || typeof text !== 'string') return null
    return { kind, command, params: { name, text } }
  }
  if (kind !== 'request' || typeof id !== 'number') return null
  const read = (name: string) => {
    const found = isObject(params) ? params[name] : undefined
    return typeof found === 'string' ? found : null
  }
  switch (method) {
    case 'context.open':
      return { kind, id, method, params: { conversationId: read('conversationId') } }
    case 'context.cancel':
      return { kind, id, method, params: null }
    case 'context.text': {
      const part = PART_KINDS.find((each) => each === read('kind'))
      const key = read('key')
      return part === undefined || key === null ? null : { kind, id, method, params: { kind: part, key } }
    }
    case 'context.compact': {
      const mode = MODES.find((each) => each === read('mode'))
      return mode === undefined ? null : { kind, id, method, params: { mode } }
    }
    case 'compaction.summary': {
      const messageId = read('messageId')
      return messageId === null ? null : { kind, id, method, params: { messageId } }
    }
    case 'runs.earlier': {
      const before = read('before')
      return before === null ? null : { kind, id, method, params: { before } }
    }
    case 'run.steps': {
      const runId = read('runId')
      return runId === null ? null : { kind, id, method, params: { runId } }
    }
    case 'step.trace': {
      const stepId = read('stepId')
      return stepId === null ? null : { kind, id, method, params: { stepId } }
    }
    default:
      return null
  }
}

/** Reads the state VS Code kept for a panel; null when it is not one. */
export function parseContextState(value: unknown): ContextState | null {
  if (!isObject(value)) return null
  const { agentId, conversationId, tab, open } = value
  if (typeof agentId !== 'string') return null
  return {
    agentId,
    conversationId: typeof conversationId === 'string' ? conversationId : null,
    tab: typeof tab === 'number' ? tab : 0,
    open: Array.isArray(open) ? open.filter((key) => typeof key === 'string') : [],
  }
}

const MODES: CompactionMode[] = ['sliding_window', 'all', 'self_compact_sliding_window', 'self_compact_all']

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

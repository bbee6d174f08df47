/**
 * The one contract between the chat's two sides: the host (VS Code's extension host, which talks to the server) and
 * the webview (which draws). Everything crosses one channel as one of four kinds of envelope: a **request** expects a
 * reply, a **command** does not; both go from the webview to the host. **Replies** and **notifications** go back.
 * Messages of an agent cross in the wire's own shapes.
 */
import type { LettaMessage, StreamItem } from '../shared/schema/message.ts'
import {
  COMPOSER_READERS,
  type ComposerMethod,
  type ComposerNotifications,
  type ComposerRequests,
} from './composer-protocol.ts'

/** What the chat knows of its agent. */
export interface ChatAgent {
  id: string
  name: string
  model: string | null
}

/** What a user sends: text, or parts of text and images, as the wire has them. */
export type UserContent = string | UserPart[]
export type UserPart =
  | { type: 'text'; text: string }
  | { type: 'image'; source: { type: 'base64'; media_type: string; data: string } }

/** The turn under way, or one that failed; what the server has stored of it is in the history afterwards. */
export interface ChatTurn {
  /** The client's own id of the message (`otid`), so that both sides mean the same one. */
  otid: string
  /** Null when someone else began the turn, or when it only answers a request for approval. */
  content: UserContent | null
  /** Deltas of one message are already joined. */
  items: StreamItem[]
  /** Null while the agent is working. */
  end: TurnEnd | null
  /** The message whose place this one takes; what followed that is set aside. */
  replaces: string | null
  /** Why nothing arrives just now; null while all is well. */
  hold: string | null
}

export type TurnEnd =
  | { outcome: 'done' }
  | { outcome: 'stopped' }
  /** `message` is a sentence for the user: what failed, where, and what to do. `fix` is the button that does it. */
  | { outcome: 'failed'; message: string; fix: Fix | null }

/** What a button under a failure does besides trying again. */
export type Fix =
  /** The wizard for model providers: a key is refused, or used up, or nothing answers. */
  | 'provider'
  /** Another model for the agent. */
  | 'model'
  /** Makes the conversation shorter and tries again. */
  | 'compact'
  /** Denies what waits for an approval and sends the message with that. */
  | 'deny'
  /** Stops the turn that someone else began in this conversation and sends. */
  | 'stop-other'
  /** Lets the agent take more steps. */
  | 'go-on'

/** Oldest first; `earlier` says that there is more before the first. */
export interface HistoryPage {
  messages: LettaMessage[]
  earlier: boolean
  /** Ids of messages that an edit or a rewind took out of what the model sees. */
  aside: string[]
}

/** All that a webview needs to draw itself from nothing. */
export interface ChatSnapshot {
  /** Null when the agent does not exist (any more). */
  agent: ChatAgent | null
  /** Null for the agent's main conversation. */
  conversation: ChatConversation | null
  history: HistoryPage
  turn: ChatTurn | null
  /** The message that asks for an approval which nobody has answered. */
  pending: string | null
}

export interface ChatConversation {
  id: string
  summary: string | null
}

/** What a run made of one memory block. */
export interface MemoryEdit {
  block_id: string
  label: string
  version: number
  lines: DiffLine[]
  /** Lines added and removed. */
  added: number
  removed: number
  /** `undone`: the block has the value again that it had before. */
  state: 'kept' | 'undone'
}

/** A line of a small diff; `gap` stands for lines left out. Marked parts are those that differ within the line. */
export interface DiffLine {
  kind: 'same' | 'added' | 'removed' | 'gap'
  parts: { text: string; marked: boolean }[]
}

/** What is read of tool calls when somebody looks at them. */
export interface ToolDetails {
  /** By run, oldest first. */
  edits: Record<string, MemoryEdit[]>
  /** How long the tools of a step ran, in milliseconds, by step. */
  times: Record<string, number>
}

/** What was decided about a call that waits. */
export interface Decision {
  tool_call_id: string
  approve: boolean
  reason: string | null
}

/** Requests of the webview, with their replies. A refused one rejects with a sentence for the user. */
export interface Requests extends ComposerRequests {
  /** The agent, the newest messages and the turn under way. */
  'chat.open': { params: null; result: ChatSnapshot }
  /** The messages before the one with this id. */
  'chat.earlier': { params: { before: string }; result: HistoryPage }
  /** Begins a turn; its text and its answer come as notifications. Refused while another turn runs. */
  'chat.send': { params: { otid: string; content: UserContent }; result: null }
  /** Sends a message of the user in other words, in its place; null: as it was. */
  'chat.edit': { params: { otid: string; message_id: string; content: UserContent | null }; result: null }
  /** Tries the turn that failed again, after the fix when there is one. */
  'chat.retry': { params: { otid: string; fix: Fix | null }; result: null }
  /** Answers what waits for an approval. `always` names tools that shall not ask again. */
  'chat.decide': { params: { otid: string; decisions: Decision[]; always: string[] }; result: null }
  /** Asks the server to end the turn under way. */
  'chat.stop': { params: null; result: null }
  /** A new conversation that ends with this message, opened beside. */
  'chat.fork': { params: { message_id: string }; result: null }
  /** Makes this message the last one that the model sees. */
  'chat.rewind': { params: { message_id: string }; result: null }
  'chat.export': { params: null; result: null }
  'tool.details': { params: { runs: string[]; steps: string[] }; result: ToolDetails }
  /** Takes one edit of a memory block back. */
  'memory.undo': { params: { block_id: string; version: number }; result: null }
}
export type Method = keyof Requests

/** Commands of the webview: done when VS Code gets to them. */
export interface Commands {
  'logs.show': null
  /** The source of the tool with this name. */
  'tool.open': { name: string }
  'code.copy': { text: string }
  /** Into the editor that was active last. */
  'code.insert': { text: string }
  /** Another agent in this view. */
  'chat.choose': null
  /** Where the user says whether they trust this workspace. */
  'trust.manage': null
}

/** News from the host. */
export interface Notifications extends ComposerNotifications {
  'turn.started': Pick<ChatTurn, 'otid' | 'content' | 'replaces'>
  /** Next pieces of the answer, in order. `drop` names the step that was begun anew: what came of it is void. */
  'turn.items': { otid: string; items: StreamItem[]; drop?: string }
  'turn.held': { otid: string; hold: string | null }
  'turn.ended': { otid: string; end: TurnEnd }
  /** Someone else talked with this agent, or the server is back: open again. */
  'chat.stale': null
  /** The agent was renamed, got another model, or (null) was deleted. */
  'agent.changed': ChatAgent | null
  /** Memory blocks changed: what is shown of edits may be out of date. */
  'memory.changed': null
}

export type RequestEnvelope = {
  [M in Method]: { kind: 'request'; id: number; method: M; params: Requests[M]['params'] }
}[Method]
/** Requests of the composer, which the host answers apart from the chat's. */
export type ComposerEnvelope = Extract<RequestEnvelope, { method: ComposerMethod }>
export type CommandEnvelope = {
  [C in keyof Commands]: { kind: 'command'; command: C; params: Commands[C] }
}[keyof Commands]
export type ReplyEnvelope =
  | { kind: 'reply'; id: number; result: unknown }
  | { kind: 'reply'; id: number; error: string }
export type NotificationEnvelope = {
  [N in keyof Notifications]: { kind: 'notification'; name: N; params: Notifications[N] }
}[keyof Notifications]

export type ToHost = RequestEnvelope | CommandEnvelope
export type ToWebview = ReplyEnvelope | NotificationEnvelope

/** What the webview keeps with VS Code: it survives hiding, moving and reloading the window. */
export interface ChatState {
  agentId: string
  /** Null for the agent's main conversation. */
  conversationId: string | null
  draft: string
  /** What was sent and has not been seen in the history: given back when it never arrived. */
  unsent: { otid: string; content: UserContent } | null
  /** A message of the user that is being written in other words. */
  editing: { message_id: string; text: string } | null
}

/** Reads an envelope from the webview; null for anything that is not one. The webview shows text that models wrote. */
export function parseToHost(value: unknown): ToHost | null {
  if (!isObject(value)) return null
  const { kind, id, method, command, params } = value
  if (kind === 'command') return parseCommand(command, params)
  if (kind !== 'request' || typeof id !== 'number') return null
  const read = typeof method === 'string' && Object.hasOwn(READERS, method) ? READERS[method as Method] : null
  const wanted = read?.(isObject(params) ? params : {})
  return wanted === undefined ? null : ({ kind, id, method, params: wanted } as RequestEnvelope)
}

type Given = Record<string, unknown>
/** Parameters of each request as they were sent; undefined when they are not of that shape. */
const READERS: { [M in Method]: (given: Given) => Requests[M]['params'] | undefined } = {
  ...COMPOSER_READERS,
  'chat.open': () => null,
  'chat.stop': () => null,
  'chat.export': () => null,
  'chat.earlier': ({ before }) => (typeof before === 'string' ? { before } : undefined),
  'chat.send'({ otid, content }) {
    const read = parseContent(content)
    return typeof otid === 'string' && read !== null ? { otid, content: read } : undefined
  },
  'chat.edit'({ otid, message_id, content }) {
    const read = content === null ? null : (parseContent(content) ?? undefined)
    if (typeof otid !== 'string' || typeof message_id !== 'string' || read === undefined) return undefined
    return { otid, message_id, content: read }
  },
  'chat.retry'({ otid, fix }) {
    if (typeof otid !== 'string' || !(fix === null || isFix(fix))) return undefined
    return { otid, fix }
  },
  'chat.decide'({ otid, decisions, always }) {
    if (typeof otid !== 'string' || !Array.isArray(decisions) || !isTexts(always)) return undefined
    const read = decisions.map(parseDecision)
    return read.length > 0 && read.every((one) => one !== null)
      ? { otid, decisions: read, always }
      : undefined
  },
  'chat.fork': ({ message_id }) => (typeof message_id === 'string' ? { message_id } : undefined),
  'chat.rewind': ({ message_id }) => (typeof message_id === 'string' ? { message_id } : undefined),
  'tool.details': ({ runs, steps }) => (isTexts(runs) && isTexts(steps) ? { runs, steps } : undefined),
  'memory.undo': ({ block_id, version }) =>
    typeof block_id === 'string' && typeof version === 'number' ? { block_id, version } : undefined,
}

function parseCommand(command: unknown, params: unknown): CommandEnvelope | null {
  const kind = 'command'
  const { text, name } = isObject(params) ? params : {}
  switch (command) {
    case 'logs.show':
    case 'chat.choose':
    case 'trust.manage':
      return { kind, command, params: null }
    case 'tool.open':
      return typeof name === 'string' ? { kind, command, params: { name } } : null
    case 'code.copy':
    case 'code.insert':
      return typeof text === 'string' ? { kind, command, params: { text } } : null
    default:
      return null
  }
}

const FIXES: readonly unknown[] = ['provider', 'model', 'compact', 'deny', 'stop-other', 'go-on']

function isFix(value: unknown): value is Fix {
  return FIXES.includes(value)
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function parseDecision(value: unknown): Decision | null {
  if (!isObject(value)) return null
  const { tool_call_id, approve, reason } = value
  if (typeof tool_call_id !== 'string' || typeof approve !== 'boolean') return null
  return { tool_call_id, approve, reason: typeof reason === 'string' && reason !== '' ? reason : null }
}

/** Text that is not blank, or parts of which one says something; null for anything else. */
function parseContent(value: unknown): UserContent | null {
  if (typeof value === 'string') return value.trim() === '' ? null : value
  if (!Array.isArray(value)) return null
  const parts = value.map(parsePart)
  const says = parts.some((part) => part?.type === 'image' || (part?.text.trim() ?? '') !== '')
  return says && parts.every((part) => part !== null) ? parts : null
}

function parsePart(value: unknown): UserPart | null {
  if (!isObject(value)) return null
  const { type, text, source } = value
  if (type === 'text') return typeof text === 'string' ? { type, text } : null
  if (type !== 'image' || !isObject(source) || source['type'] !== 'base64') return null
  const { media_type, data } = source
  if (typeof media_type !== 'string' || typeof data !== 'string') return null
  return { type, source: { type: 'base64', media_type, data } }
}

/** Reads the state VS Code kept for a chat; null when it is not one. */
export function parseChatState(value: unknown): ChatState | null {
  if (!isObject(value)) return null
  const { agentId, conversationId, draft, unsent, editing } = value
  if (typeof agentId !== 'string') return null
  const content = isObject(unsent) ? parseContent(unsent['content']) : null
  const otid = isObject(unsent) ? unsent['otid'] : null
  return {
    agentId,
    conversationId: typeof conversationId === 'string' ? conversationId : null,
    draft: typeof draft === 'string' ? draft : '',
    unsent: content !== null && typeof otid === 'string' ? { otid, content } : null,
    editing: parseEditing(editing),
  }
}

function parseEditing(value: unknown): ChatState['editing'] {
  if (!isObject(value)) return null
  const { message_id, text } = value
  return typeof message_id === 'string' && typeof text === 'string' ? { message_id, text } : null
}

/**
 * Adds an item of a message stream to those before it: a delta is joined to the message it continues (same type and
 * same `id`), everything else is appended. Changes and returns `items`.
 */
export function addItem(items: StreamItem[], item: StreamItem): StreamItem[] {
  const last = items.at(-1)
  const joined = last && joinDelta(last, item)
  if (joined) items[items.length - 1] = joined
  else items.push(item)
  return items
}

/** Takes away what came of a step, from the end of `items`. */
export function dropStep(items: StreamItem[], step_id: string): void {
  while (items.length > 0) {
    const last = items.at(-1)
    if (!last || !('step_id' in last) || last.step_id !== step_id) return
    items.pop()
  }
}

function joinDelta(last: StreamItem, next: StreamItem): StreamItem | null {
  if (!('id' in last) || !('id' in next) || last.id !== next.id) return null
  if (last.message_type === 'assistant_message' && next.message_type === 'assistant_message') {
    return { ...last, content: textOf(last.content) + textOf(next.content) }
  }
  if (last.message_type === 'reasoning_message' && next.message_type === 'reasoning_message') {
    return { ...last, reasoning: last.reasoning + next.reasoning }
  }
  return null
}

/** The text of a message's content; an image becomes the word for it. */
export function textOf(content: string | { type?: string; text?: string }[]): string {
  if (typeof content === 'string') return content
  return content.map((part) => part.text ?? `[${part.type ?? 'part'}]`).join('')
}

/** Events that V1 keeps as user messages: `{"type":"login",…}`. */
export function isPacked(text: string): boolean {
  return /^\{\s*"type"\s*:\s*"(?:login|heartbeat|system_alert|bootup)"/.test(text)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

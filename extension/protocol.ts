/**
 * The one contract between the chat's two sides: the host (VS Code's extension host, which talks to the server) and
 * the webview (which draws). Everything crosses one channel as one of four kinds of envelope: a **request** expects a
 * reply, a **command** does not; both go from the webview to the host. **Replies** and **notifications** go back.
 * Messages of an agent cross in the wire's own shapes.
 */
import type { LettaMessage, StreamItem } from '../shared/schema/message.ts'

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

/** What the user asked for last and what came back so far; present from sending until the next message is sent. */
export interface ChatTurn {
  /** The client's own id of the message (`otid`), so that both sides mean the same one. */
  otid: string
  content: UserContent
  /** Deltas of one message are already joined. */
  items: StreamItem[]
  /** Null while the agent is working. */
  end: TurnEnd | null
}

export type TurnEnd =
  | { outcome: 'done' }
  | { outcome: 'stopped' }
  /** `message` is a sentence for the user: what failed, where, and what to do. */
  | { outcome: 'failed'; message: string }

/** Oldest first; `earlier` says that there is more before the first. */
export interface HistoryPage {
  messages: LettaMessage[]
  earlier: boolean
}

/** All that a webview needs to draw itself from nothing. */
export interface ChatSnapshot {
  /** Null when the agent does not exist (any more). */
  agent: ChatAgent | null
  history: HistoryPage
  turn: ChatTurn | null
}

/** Requests of the webview, with their replies. A refused one rejects with a sentence for the user. */
export interface Requests {
  /** The agent, the newest messages and the turn under way. */
  'chat.open': { params: null; result: ChatSnapshot }
  /** The messages before the one with this id. */
  'chat.earlier': { params: { before: string }; result: HistoryPage }
  /** Begins a turn; its text and its answer come as notifications. Refused while another turn runs. */
  'chat.send': { params: { otid: string; content: UserContent }; result: null }
  /** Asks the server to end the turn under way. */
  'chat.stop': { params: null; result: null }
}
export type Method = keyof Requests

/** Commands of the webview: done when VS Code gets to them. */
export interface Commands {
  'logs.show': null
}

/** News from the host. */
export interface Notifications {
  'turn.started': { otid: string; content: UserContent }
  /** Next pieces of the answer, in order. */
  'turn.items': { otid: string; items: StreamItem[] }
  'turn.ended': { otid: string; end: TurnEnd }
  /** Someone else talked with this agent, or the server is back: open again. */
  'chat.stale': null
  /** The agent was renamed, got another model, or (null) was deleted. */
  'agent.changed': ChatAgent | null
}

export type RequestEnvelope = {
  [M in Method]: { kind: 'request'; id: number; method: M; params: Requests[M]['params'] }
}[Method]
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
  draft: string
}

/** Reads an envelope from the webview; null for anything that is not one. The webview shows text that models wrote. */
export function parseToHost(value: unknown): ToHost | null {
  if (!isObject(value)) return null
  const { kind, id, method, command, params } = value
  if (kind === 'command' && command === 'logs.show') return { kind, command, params: null }
  if (kind !== 'request' || typeof id !== 'number') return null
  switch (method) {
    case 'chat.open':
    case 'chat.stop':
      return { kind, id, method, params: null }
    case 'chat.earlier':
      if (!isObject(params) || typeof params['before'] !== 'string') return null
      return { kind, id, method, params: { before: params['before'] } }
    case 'chat.send': {
      if (!isObject(params)) return null
      const content = parseContent(params['content'])
      const { otid } = params
      if (typeof otid !== 'string' || content === null) return null
      return { kind, id, method, params: { otid, content } }
    }
    default:
      return null
  }
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
  const { agentId, draft } = value
  if (typeof agentId !== 'string') return null
  return { agentId, draft: typeof draft === 'string' ? draft : '' }
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

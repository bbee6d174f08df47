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

/** What the user asked for last and what came back so far; present from sending until the next message is sent. */
export interface ChatTurn {
  /** The client's own id of the message (`otid`), so that both sides mean the same one. */
  otid: string
  text: string
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
  'chat.send': { params: { otid: string; text: string }; result: null }
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
  'turn.started': { otid: string; text: string }
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
      const { otid, text } = params
      if (typeof otid !== 'string' || typeof text !== 'string' || text.trim() === '') return null
      return { kind, id, method, params: { otid, text } }
    }
    default:
      return null
  }
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

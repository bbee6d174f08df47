import { newId } from '../schema/ids.ts'
import type {
  ContentPart,
  MessageCreate,
  StoredApproval,
  StoredMessage,
  StoredToolReturn,
} from '../schema/message.ts'
import { type OlderView, shownToOlder } from './older-view.ts'
import type { ModelMessage, ModelToolCall } from './ports/models.ts'
import { formatLocalTime } from './prompt.ts'

type Place = Pick<StoredMessage, 'agent_id' | 'conversation_id' | 'run_id' | 'step_id'>

function blank(place: Place, at: Date): Omit<StoredMessage, 'id' | 'role' | 'content'> {
  return {
    ...place,
    name: null,
    otid: null,
    sender_id: null,
    group_id: null,
    model: null,
    tool_calls: [],
    tool_returns: [],
    is_err: false,
    created_at: at.toISOString(),
  }
}

export function systemMessage(text: string, place: Place, at: Date): StoredMessage {
  return { ...blank(place, at), id: newId('message'), role: 'system', content: [{ type: 'text', text }] }
}

/** Input as the client sent it: text is stored verbatim, not wrapped in JSON (reference 3.2). */
export function inputMessage(input: MessageCreate, place: Place, at: Date): StoredMessage {
  const id = newId('message')
  return {
    ...blank(place, at),
    id,
    role: input.role,
    content:
      typeof input.content === 'string'
        ? [{ type: 'text', text: clean(input.content) }]
        : input.content.map((part) => (part.type === 'text' ? { ...part, text: clean(part.text) } : part)),
    name: input.name ?? null,
    otid: input.otid ?? id.slice('message-'.length),
    sender_id: input.sender_id ?? null,
    group_id: input.group_id ?? null,
  }
}

export function assistantMessage(
  id: string,
  content: ContentPart[],
  tool_calls: StoredMessage['tool_calls'],
  model: string,
  place: Place,
  at: Date,
): StoredMessage {
  return { ...blank(place, at), id, role: 'assistant', content, tool_calls, model }
}

/** One message with the returns of all calls of a step, in the order they were asked for. */
export function toolMessage(tool_returns: StoredToolReturn[], place: Place, at: Date): StoredMessage {
  return { ...blank(place, at), id: newId('message'), role: 'tool', content: [], tool_returns }
}

/** Calls that wait for an approval, or for the client that runs them. */
export function approvalMessage(
  id: string,
  tool_calls: StoredMessage['tool_calls'],
  model: string,
  place: Place,
  at: Date,
  reason: string | null = null,
): StoredMessage {
  return {
    ...blank(place, at),
    id,
    role: 'approval',
    content: [],
    tool_calls,
    model,
    otid: id,
    ...(reason === null ? {} : { approval_reason: reason }),
  }
}

/** The answer to a request for approval: what was decided of each of its calls. */
export function decisionMessage(
  request_id: string,
  decisions: StoredApproval[],
  given: { otid?: string | null | undefined; group_id?: string | null | undefined },
  place: Place,
  at: Date,
): StoredMessage {
  const id = newId('message')
  return {
    ...blank(place, at),
    id,
    role: 'approval',
    content: [],
    otid: given.otid ?? id.slice('message-'.length),
    group_id: given.group_id ?? null,
    approval: { request_id, decisions: decisions.map(storable) },
  }
}

/** Without what not every engine can store. */
function storable(decision: StoredApproval): StoredApproval {
  if (decision.type === 'approval')
    return { ...decision, reason: decision.reason === null ? null : clean(decision.reason) }
  const { tool_return } = decision
  return {
    ...decision,
    tool_return:
      typeof tool_return === 'string'
        ? clean(tool_return)
        : tool_return.map((part) => (part.type === 'text' ? { ...part, text: clean(part.text) } : part)),
  }
}

/** A summary that stands for the older part of a context; `packed` is V1's JSON around it (reference 7.4). */
export function summaryMessage(packed: string, place: Place, at: Date): StoredMessage {
  const id = newId('message')
  return { ...blank(place, at), id, role: 'summary', content: [{ type: 'text', text: packed }] }
}

/** NUL cannot be stored as text by every engine. */
function clean(text: string): string {
  return text.replaceAll('\0', '')
}

/** The text of a message's content; images and reasoning have none. */
export function textOf(content: readonly ContentPart[]): string {
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

/**
 * Stored messages as the model is shown them. Tool returns are packed as V1 does (`{status, message, time}`, local
 * time of the agent) and clipped to `max_return_chars` with a note. Each
 * answer names its model, whose adapter alone sends its reasoning back. The result depends on nothing but its arguments, so that the prefix of a request stays byte-identical.
 */
export function toModelMessages(stored: readonly StoredMessage[], options: ViewOptions): ModelMessage[] {
  const shown: ModelMessage[] = []
  const view = viewName(options)
  let last: StoredMessage | undefined
  for (const message of stored) {
    const before = shown.at(-1)
    // Calls that may run at once and those that wait are stored apart, but were one answer.
    if (message.role === 'approval' && before?.role === 'assistant' && isOneAnswer(last, message))
      shown[shown.length - 1] = { ...before, tool_calls: [...before.tool_calls, ...callsOf(message)] }
    else for (const one of shownOf(message, last === undefined, options, view)) shown.push(one)
    last = message
  }
  return shown
}

/** What stored messages were shown as last. They never change, and the same objects come back turn after turn. */
const known = new WeakMap<StoredMessage, { view: string; shown: readonly ModelMessage[] }>()

function shownOf(
  message: StoredMessage,
  first: boolean,
  options: ViewOptions,
  view: string,
): readonly ModelMessage[] {
  const before = known.get(message)
  if (before?.view === view) return before.shown
  const { older, timezone } = options
  const shown = toModelMessage(
    older ? shownToOlder(message, first ? 0 : 1, older, timezone) : message,
    options,
  )
  // How a system message is shown hangs on where it stands.
  if (message.role !== 'system') known.set(message, { view, shown })
  return shown
}

function viewName({ timezone, max_return_chars, older }: ViewOptions): string {
  return `${timezone} ${max_return_chars} ${older?.thoughts ?? ''}`
}

function isOneAnswer(before: StoredMessage | undefined, message: StoredMessage): boolean {
  return before?.role === 'assistant' && message.step_id !== null && before.step_id === message.step_id
}

/** Characters of one tool return that a model with this context window is shown (reference 3.2). */
export function maxReturnChars(context_window: number): number {
  return Math.max(5000, Math.floor(context_window * 0.2 * 4))
}

/** For whom stored messages are rendered. */
export interface ViewOptions {
  timezone: string
  max_return_chars: number
  /** For an agent of an older type. */
  older?: OlderView | undefined
}

function toModelMessage(message: StoredMessage, options: ViewOptions): ModelMessage[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', text: textOf(message.content) }]
    case 'user':
    case 'summary':
      return [{ role: 'user', content: message.content, name: message.name }]
    case 'assistant':
      return [
        {
          role: 'assistant',
          content: message.content,
          tool_calls: callsOf(message),
          model: message.model,
        },
      ]
    case 'tool':
      return message.tool_returns.map((result) => ({
        role: 'tool',
        tool_call_id: result.tool_call_id,
        name: result.name,
        content: packReturn(result, new Date(message.created_at), options),
      }))
    case 'approval':
      if (message.tool_calls.length === 0) return []
      return [{ role: 'assistant', content: [], tool_calls: callsOf(message), model: message.model }]
  }
}

function callsOf(message: StoredMessage): ModelToolCall[] {
  return message.tool_calls.map(({ id, function: fn, signature }) => ({
    id,
    ...fn,
    ...(signature === undefined ? {} : { signature }),
  }))
}

function packReturn(result: StoredToolReturn, at: Date, options: ViewOptions): string | ContentPart[] {
  const pack = (text: string) =>
    JSON.stringify({
      status: result.status === 'success' ? 'OK' : 'Failed',
      message: clip(text, options.max_return_chars),
      time: formatLocalTime(at, options.timezone),
    })
  if (typeof result.func_response === 'string') return pack(result.func_response)
  const images = result.func_response.filter((part) => part.type === 'image')
  return [{ type: 'text', text: pack(textOf(result.func_response)) }, ...images]
}

/** Cuts `text` to `max` characters and says how many are missing; never inside a surrogate pair. */
export function clip(text: string, max: number): string {
  if (text.length <= max) return text
  const end = isHighSurrogate(text.charCodeAt(max - 1)) ? max - 1 : max
  return `${text.slice(0, end)}... [truncated ${text.length - end} chars]`
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff
}

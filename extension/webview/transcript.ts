import type { LettaMessage, StreamItem } from '../../shared/schema/message.ts'
import { textOf } from '../protocol.ts'

/** What the chat draws, one after the other. `key` is unique and stays while a row grows. */
export type Row =
  | { kind: 'user'; key: string; text: string }
  | { kind: 'assistant'; key: string; text: string }
  /** `text` is empty when the model keeps its reasoning to itself. */
  | { kind: 'reasoning'; key: string; text: string }
  | ToolRow

export interface ToolRow {
  kind: 'tool'
  key: string
  name: string
  /** JSON as the model wrote it, perhaps not all of it yet. */
  args: string
  status: 'running' | 'success' | 'error'
  result: string
}

type Item = LettaMessage | StreamItem
type CallDelta = { name?: string | null; arguments?: string | null; tool_call_id?: string | null }

/** Rows for messages of a history or items of a stream, oldest first. What is not for people gets none. */
export function rowsOf(items: readonly Item[]): Row[] {
  const rows: Row[] = []
  const calls = new Map<string, ToolRow>()
  /** The call that a delta without an id continues, by message. */
  const open = new Map<string, ToolRow>()

  const addCall = (message_id: string, delta: CallDelta) => {
    const id = delta.tool_call_id
    const known = id ? calls.get(id) : open.get(message_id)
    if (known) {
      known.name += delta.name && known.name !== delta.name ? delta.name : ''
      known.args += delta.arguments ?? ''
      return
    }
    const row: ToolRow = {
      kind: 'tool',
      key: `call-${id ?? message_id}`,
      name: delta.name ?? '',
      args: delta.arguments ?? '',
      status: 'running',
      result: '',
    }
    rows.push(row)
    open.set(message_id, row)
    if (id) calls.set(id, row)
  }

  for (const item of items) {
    switch (item.message_type) {
      case 'user_message': {
        const text = textOf(item.content)
        if (!isPacked(text)) rows.push({ kind: 'user', key: item.id, text })
        break
      }
      case 'assistant_message':
        addText(rows, 'assistant', `${item.id}-text`, textOf(item.content))
        break
      case 'reasoning_message':
        addText(rows, 'reasoning', `${item.id}-reasoning`, item.reasoning)
        break
      case 'hidden_reasoning_message':
        addText(rows, 'reasoning', `${item.id}-reasoning`, '')
        break
      case 'tool_call_message': {
        const list = Array.isArray(item.tool_calls) ? item.tool_calls : [item.tool_calls ?? item.tool_call]
        for (const call of list) addCall(item.id, call)
        break
      }
      case 'tool_return_message': {
        const returns = item.tool_returns ?? [item]
        for (const { tool_call_id, status, tool_return } of returns) {
          const row = calls.get(tool_call_id)
          if (row) Object.assign(row, { status, result: textOf(tool_return) })
        }
        break
      }
      // Not for people, or (approvals, summaries) not from this server yet.
      default:
    }
  }
  return rows
}

function addText(rows: Row[], kind: 'assistant' | 'reasoning', key: string, text: string): void {
  const last = rows.at(-1)
  if (last?.kind === kind && last.key === key) last.text += text
  else if (text !== '' || kind === 'reasoning') rows.push({ kind, key: unique(rows, key), text })
}

function unique(rows: readonly Row[], key: string): string {
  return rows.some((row) => row.key === key) ? `${key}-${rows.length}` : key
}

/** Events that V1 keeps as user messages: `{"type":"login",…}`. */
function isPacked(text: string): boolean {
  return /^\{\s*"type"\s*:\s*"(?:login|heartbeat|system_alert|bootup)"/.test(text)
}

/** A tool's arguments for reading: indented JSON where it is JSON, else as they came. */
export function prettyArgs(args: string): string {
  try {
    return JSON.stringify(JSON.parse(args), null, 2)
  } catch {
    return args
  }
}

/** What a call says, on one line: its texts, or whatever it has while it arrives. */
export function shortArgs(args: string): string {
  const text = args.replaceAll(/\s+/g, ' ').trim()
  try {
    const values: unknown = JSON.parse(args)
    if (typeof values !== 'object' || values === null) return text
    const given = Object.values(values).filter((value) => value !== '' && value !== null)
    const texts = given.filter((value) => typeof value === 'string')
    return (texts.length > 0 ? texts : given.map((value) => JSON.stringify(value)))
      .map((value) =>
        value
          .trim()
          .replaceAll(/\s*\n\s*/g, ', ')
          .replaceAll(/\s+/g, ' '),
      )
      .join(' · ')
  } catch {
    return text
  }
}

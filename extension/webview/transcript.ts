import type { LettaMessage, StreamItem } from '../../shared/schema/message.ts'
import { isPacked, textOf } from '../protocol.ts'

/** What the chat draws, one after the other. `key` is unique and stays while a row grows. */
export type Row =
  | UserRow
  | { kind: 'assistant'; key: string; text: string; message_id: string }
  /** `text` is empty when the model keeps its reasoning to itself. */
  | { kind: 'reasoning'; key: string; text: string }
  | ToolRow
  /** Something that happened to the conversation: it was compacted. */
  | { kind: 'note'; key: string; title: string; text: string }
  /** What an edit or a rewind took out of what the model sees. */
  | { kind: 'aside'; key: string; rows: Row[]; last_id: string }

export interface UserRow {
  kind: 'user'
  key: string
  text: string
  /** `data:` addresses of images that were sent. */
  images: string[]
  /** Null until the server has it. */
  message_id: string | null
}

export interface ToolRow {
  kind: 'tool'
  key: string
  name: string
  /** JSON as the model wrote it, perhaps not all of it yet. */
  args: string
  status: 'running' | 'success' | 'error'
  result: string
  tool_call_id: string | null
  step_id: string | null
  /** The run that ran it; of one that waits, the run that asks. */
  run_id: string | null
  /** What it printed. */
  output: string
  /** Present when it waits, or waited, for an approval. */
  approval: Approval | null
}

export interface Approval {
  request_id: string
  state: 'waiting' | 'approved' | 'denied' | 'unanswered'
  /** Why it is asked, where no rule of the agent says so. */
  why: string
  /** What the user said when denying. */
  reason: string
}

export interface RowsOptions {
  /** The message that waits for an approval. */
  pending?: string | null
  /** Ids of messages that are set aside. */
  aside?: ReadonlySet<string>
}

type Item = LettaMessage | StreamItem
type CallDelta = { name?: string | null; arguments?: string | null; tool_call_id?: string | null }

/** Rows for messages of a history or items of a stream, oldest first. What is not for people gets none. */
export function rowsOf(items: readonly Item[], { pending = null, aside }: RowsOptions = {}): Row[] {
  const rows: Row[] = []
  const keys = new Set<string>()
  const calls = new Map<string, ToolRow>()
  /** The call that a delta without an id continues, by message. */
  const open = new Map<string, ToolRow>()
  let group: Extract<Row, { kind: 'aside' }> | null = null

  const push = (row: Row, id: string) => {
    row.key = keys.has(row.key) ? `${row.key}-${keys.size}` : row.key
    keys.add(row.key)
    if (!aside?.has(id)) {
      group = null
      rows.push(row)
      return
    }
    if (!group) {
      group = { kind: 'aside', key: `aside-${id}`, rows: [], last_id: id }
      rows.push(group)
    }
    group.rows.push(row)
    group.last_id = id
  }
  const grow = (kind: 'assistant' | 'reasoning', id: string, text: string) => {
    const key = kind === 'assistant' ? `${id}-text` : `${id}-reasoning`
    const list: Row[] = group?.rows ?? rows
    const last = list.at(-1)
    if (last?.kind === kind && last.key === key) last.text += text
    else if (kind === 'reasoning') push({ kind, key, text }, id)
    else if (text !== '') push({ kind, key, text, message_id: id }, id)
  }
  const addCall = (
    item: Extract<Item, { message_type: 'tool_call_message' | 'approval_request_message' }>,
    delta: CallDelta,
  ) => {
    const id = delta.tool_call_id
    const known = id ? calls.get(id) : open.get(item.id)
    if (known && (known.status === 'running' || !id)) {
      known.name += delta.name && known.name !== delta.name ? delta.name : ''
      if (known.approval || item.message_type !== 'approval_request_message') {
        known.args += delta.arguments ?? ''
      }
      return
    }
    const row: ToolRow = {
      kind: 'tool',
      key: `call-${id ?? item.id}`,
      name: delta.name ?? '',
      args: delta.arguments ?? '',
      status: 'running',
      result: '',
      tool_call_id: id ?? null,
      step_id: item.step_id,
      run_id: item.run_id,
      output: '',
      approval: item.message_type === 'approval_request_message' ? asked(item, pending) : null,
    }
    push(row, item.id)
    open.set(item.id, row)
    if (id) calls.set(id, row)
  }

  for (const item of items) {
    switch (item.message_type) {
      case 'user_message': {
        const text = textOf(item.content)
        if (!isPacked(text)) push(userRow(item), item.id)
        else if (summaryIn(text) !== null) push(summaryRow(item.id, summaryIn(text) ?? ''), item.id)
        break
      }
      case 'assistant_message':
        grow('assistant', item.id, textOf(item.content))
        break
      case 'reasoning_message':
        grow('reasoning', item.id, item.reasoning)
        break
      case 'hidden_reasoning_message':
        grow('reasoning', item.id, '')
        break
      case 'approval_request_message':
      case 'tool_call_message': {
        const list = Array.isArray(item.tool_calls) ? item.tool_calls : [item.tool_calls ?? item.tool_call]
        for (const call of list) addCall(item, call)
        break
      }
      case 'approval_response_message':
        for (const decision of item.approvals) {
          const approval = calls.get(decision.tool_call_id)?.approval
          if (!approval || decision.type !== 'approval') continue
          approval.state = decision.approve ? 'approved' : 'denied'
          approval.reason = decision.reason ?? ''
        }
        break
      case 'tool_return_message':
        for (const one of item.tool_returns ?? [item]) {
          const row = calls.get(one.tool_call_id)
          if (!row) continue
          const output = [...(one.stdout ?? []), ...(one.stderr ?? [])].join('\n')
          Object.assign(row, {
            status: one.status,
            result: textOf(one.tool_return),
            output,
            run_id: item.run_id,
          })
          if (row.approval?.state === 'unanswered') row.approval.state = 'approved'
        }
        break
      case 'summary_message':
        push(summaryRow(item.id, item.summary), item.id)
        break
      case 'event_message':
        push(
          { kind: 'note', key: item.id, title: 'The conversation is being summarised…', text: '' },
          item.id,
        )
        break
      // Not for people.
      case 'system_message':
      case 'stop_reason':
      case 'usage_statistics':
      case 'ping':
      case 'error_message':
    }
  }
  return rows.filter((row, i) => !isRepeated(row, rows[i + 1]))
}

/** A question that failed and was sent again as it was: it is read in its new place. */
function isRepeated(row: Row, next: Row | undefined): boolean {
  if (row.kind !== 'aside' || next?.kind !== 'user') return false
  return row.rows.every((one) => one.kind === 'user' && one.text === next.text)
}

function userRow(item: Extract<Item, { message_type: 'user_message' }>): UserRow {
  const parts = typeof item.content === 'string' ? [] : item.content
  const images = parts.flatMap((part) =>
    part.type === 'image' && part.source.type === 'base64' && /^image\/[\w.+-]+$/.test(part.source.media_type)
      ? [`data:${part.source.media_type};base64,${part.source.data}`]
      : [],
  )
  const said = parts.filter((part) => part.type === 'text' || images.length === 0)
  const stored = item.id.startsWith('message-')
  return {
    kind: 'user',
    // The same before and after the server has it.
    key: item.otid ?? item.id,
    text: typeof item.content === 'string' ? item.content : textOf(said),
    images,
    message_id: stored ? item.id : null,
  }
}

function asked(
  item: Extract<Item, { message_type: 'approval_request_message' }>,
  pending: string | null,
): Approval {
  const state = item.id === pending ? 'waiting' : 'unanswered'
  return { request_id: item.id, state, why: item.reason ?? '', reason: '' }
}

function summaryRow(id: string, text: string): Row {
  return { kind: 'note', key: id, title: 'Earlier messages were summarised', text }
}

/** The summary in an alert of the program; null for any other event. */
function summaryIn(text: string): string | null {
  try {
    const { type, message } = JSON.parse(text) as { type?: unknown; message?: unknown }
    return type === 'system_alert' && typeof message === 'string' ? message : null
  } catch {
    return null
  }
}

/** Whether this tool edits memory blocks. */
export function editsMemory(name: string): boolean {
  return name === 'memory' || /^(?:core_memory|memory)_/.test(name) || name === 'rethink_user_memory'
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
  // One line shows some hundred letters; a call may carry megabytes.
  const text = args.slice(0, 400).replaceAll(/\s+/g, ' ').trim()
  if (args.length > 20_000) return text
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

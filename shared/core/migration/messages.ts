import { isId } from '../../schema/ids.ts'
import {
  type ContentPart,
  contentPart,
  type StoredApproval,
  type StoredMessage,
  type StoredToolCall,
  type StoredToolReturn,
} from '../../schema/message.ts'
import { textOf } from './bring.ts'
import type { Raw } from './read.ts'
import { instantIn } from './times.ts'

interface Place {
  agent_id: string
  conversation_id: string
}

/**
 * The stored message that V1 shows as these API messages, which have one id (reference 5.2). Text when it cannot be told:
 * why. `called` are names of tools by the ids of their calls, and grows.
 */
export function messageOfParts(
  parts: readonly Raw[],
  place: Place,
  called: Map<string, string>,
): StoredMessage | string {
  const [first] = parts
  const id = textOf(first?.['id'])
  if (!first || !isId('message', id)) return `its id '${id.slice(0, 100)}' is none of a message`
  const created_at = instantIn(first['date'])
  if (created_at === null) return 'it has no date'
  const types = parts.map((part) => textOf(part['message_type']))
  const role = roleOf(types)
  if (role === null)
    return `messages of the type '${types.find((type) => roleOf([type]) === null)}' are not known here`
  const shown =
    roleOf(types.slice(0, 1)) === role
      ? first
      : (parts.find((part) => roleOf([textOf(part['message_type'])]) === role) ?? first)
  const message: StoredMessage = {
    ...place,
    id,
    role,
    content: role === 'tool' ? [] : parts.flatMap(contentOf),
    name: role === 'assistant' || role === 'tool' ? null : nullable(shown['name']),
    otid: role === 'assistant' || role === 'tool' ? null : nullable(shown['otid']),
    sender_id: nullable(first['sender_id']),
    group_id: nullable(first['group_id']),
    step_id: nullable(first['step_id']),
    run_id: nullable(first['run_id']),
    model: null,
    tool_calls: parts.flatMap(callsOf),
    tool_returns: role === 'tool' ? parts.flatMap((part) => returnsOf(part, called)) : [],
    is_err: parts.some((part) => part['is_err'] === true),
    created_at,
  }
  for (const call of message.tool_calls) called.set(call.id, call.function.name)
  if (role !== 'approval' || message.tool_calls.length > 0) return message
  const request_id = textOf(shown['approval_request_id'])
  return { ...message, approval: { request_id, decisions: decisionsOf(shown) } }
}

/** What stored messages of several kinds in one id are; null for a type that is not known. */
function roleOf(types: readonly string[]): StoredMessage['role'] | null {
  const known = types.map((type) => ROLES[type] ?? null)
  if (known.includes(null)) return null
  // What the agent thought before it asked is a part of the request.
  if (known.includes('approval')) return 'approval'
  return known.find((role) => role !== 'assistant') ?? known[0] ?? null
}

const ROLES: Record<string, StoredMessage['role']> = {
  system_message: 'system',
  user_message: 'user',
  assistant_message: 'assistant',
  reasoning_message: 'assistant',
  hidden_reasoning_message: 'assistant',
  tool_call_message: 'assistant',
  tool_return_message: 'tool',
  approval_request_message: 'approval',
  approval_response_message: 'approval',
  summary_message: 'summary',
}

function contentOf(part: Raw): ContentPart[] {
  switch (part['message_type']) {
    case 'system_message':
    case 'user_message':
    case 'assistant_message':
      return partsOf(part['content'])
    case 'reasoning_message':
      return [
        {
          type: 'reasoning',
          is_native: part['source'] === 'reasoner_model',
          reasoning: clean(textOf(part['reasoning'])),
          signature: nullable(part['signature']),
        },
      ]
    case 'hidden_reasoning_message':
      return part['state'] === 'redacted'
        ? [{ type: 'redacted_reasoning', data: textOf(part['hidden_reasoning']) }]
        : [{ type: 'omitted_reasoning' }]
    case 'summary_message': {
      const { summary, compaction_stats, date } = part
      const packed = { type: 'system_alert', message: textOf(summary), time: date, compaction_stats }
      return [{ type: 'text', text: clean(JSON.stringify(packed)) }]
    }
    default:
      return []
  }
}

/** Text, or the parts that are known here. */
function partsOf(content: unknown): ContentPart[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: clean(content) }]
  if (!Array.isArray(content)) return []
  return content.flatMap((part) => {
    const { data } = contentPart.safeParse(part)
    if (!data) return []
    return data.type === 'text' ? { ...data, text: clean(data.text) } : data
  })
}

function listOf(value: unknown): Raw[] {
  const list = Array.isArray(value) ? value : value === null || value === undefined ? [] : [value]
  return list.filter((item): item is Raw => typeof item === 'object' && item !== null)
}

function callsOf(part: Raw): StoredToolCall[] {
  const type = part['message_type']
  if (type !== 'tool_call_message' && type !== 'approval_request_message') return []
  const several = listOf(part['tool_calls'])
  const calls = several.length > 0 ? several : listOf(part['tool_call'])
  return calls.map((call) => ({
    id: textOf(call['tool_call_id']),
    type: 'function' as const,
    function: { name: textOf(call['name']), arguments: clean(textOf(call['arguments'])) },
  }))
}

function returnsOf(part: Raw, called: ReadonlyMap<string, string>): StoredToolReturn[] {
  const several = listOf(part['tool_returns'])
  return (several.length > 0 ? several : [part]).map((result) => {
    const tool_call_id = textOf(result['tool_call_id'])
    const stdout = lines(result['stdout'])
    const stderr = lines(result['stderr'])
    const returned = result['tool_return']
    return {
      tool_call_id,
      name: called.get(tool_call_id) ?? textOf(part['name']),
      status: result['status'] === 'error' ? ('error' as const) : ('success' as const),
      func_response: typeof returned === 'string' ? clean(returned) : partsOf(returned),
      ...(stdout ? { stdout } : {}),
      ...(stderr ? { stderr } : {}),
    }
  })
}

function decisionsOf(part: Raw): StoredApproval[] {
  const decisions = listOf(part['approvals']).map((one): StoredApproval => {
    const tool_call_id = textOf(one['tool_call_id'])
    if (one['type'] !== 'tool')
      return {
        type: 'approval',
        tool_call_id,
        approve: one['approve'] === true,
        reason: nullable(one['reason']),
      }
    const { name: _, ...result } = returnsOf(one, new Map())[0] ?? emptyReturn(tool_call_id)
    const { func_response: tool_return, not_made: _n, ...rest } = result
    return { type: 'tool', ...rest, tool_return }
  })
  if (decisions.length > 0 || typeof part['approve'] !== 'boolean') return decisions
  // An older server tells one decision for all.
  return [{ type: 'approval', tool_call_id: '', approve: part['approve'], reason: nullable(part['reason']) }]
}

function emptyReturn(tool_call_id: string): StoredToolReturn {
  return { tool_call_id, name: '', status: 'success', func_response: '' }
}

function lines(value: unknown): string[] | null {
  return Array.isArray(value) && value.length > 0 ? value.map((line) => clean(String(line))) : null
}

function nullable(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** NUL cannot be stored as text by every engine. */
function clean(text: string): string {
  return text.replaceAll('\0', '')
}

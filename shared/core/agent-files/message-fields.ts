import type { FileMessage, Raw } from '../../schema/agent-file.ts'
import {
  type ContentPart,
  contentPart,
  type StoredApproval,
  type StoredMessage,
  type StoredToolReturn,
} from '../../schema/message.ts'
import { instantOf } from '../../schema/time.ts'
import { keep, restore } from './kept.ts'

/** Ids of one place by those of the other; what is not in it stays as it is. */
export type IdMap = ReadonlyMap<string, string>

const IDS: ReadonlySet<string> = new Set(['id', 'agent_id', 'approval_request_id'])

/** What a message of a file needs to know of those before it. */
export interface MessageContext {
  agent_id: string
  /** New ids by those of the file: of messages so far, agents and groups. */
  ids: IdMap
  /** Names of the tools that were called so far, by the id of the call. */
  called: Map<string, string>
  /** The newest message so far that asks for an approval. */
  request: StoredMessage | null
}

/**
 * The message of a file as it is stored under a new id; `raw` is the same before its check, with everything in it. What is
 * said otherwise here is kept in `file_fields`.
 */
export function storedMessage(
  id: string,
  raw: Raw,
  file: FileMessage,
  context: MessageContext,
  now: string,
): StoredMessage {
  const { agent_id, ids, called } = context
  const tool_calls = (file.tool_calls ?? []).map(
    ({ id: call_id, function: { name, arguments: args }, signature }) => {
      called.set(call_id, name)
      return {
        id: call_id,
        type: 'function' as const,
        function: { name, arguments: args },
        ...(signature == null ? {} : { signature }),
      }
    },
  )
  const content = knownParts(file.content)
  const tool_returns = file.role === 'tool' ? returnsOf(file, content, called) : []
  const approval = file.role === 'approval' && tool_calls.length === 0 ? approvalOf(file, context) : null
  const sameName = file.role === 'tool' && (file.name ?? null) === (tool_returns[0]?.name ?? null)
  const message: StoredMessage = {
    id,
    agent_id,
    conversation_id: agent_id,
    role: file.role,
    content: tool_returns.length > 0 ? [] : content,
    name: sameName ? null : (file.name ?? null),
    otid: file.otid ?? null,
    sender_id: file.sender_id == null ? null : (ids.get(file.sender_id) ?? file.sender_id),
    group_id: file.group_id == null ? null : (ids.get(file.group_id) ?? file.group_id),
    step_id: null,
    run_id: null,
    model: file.model ?? null,
    tool_calls,
    tool_returns,
    ...(approval ? { approval } : {}),
    is_err: false,
    created_at: instantOf(file.created_at ?? '', 'UTC') ?? now,
  }
  if (file.role === 'approval' && tool_calls.length > 0) context.request = message
  const back = new Map(pairsOf(file, ids))
  const file_fields = keep(raw, messageFields(message, back), IDS)
  return Object.keys(file_fields).length === 0 ? message : { ...message, file_fields }
}

/** A stored message as a file says it; `ids` are those of the file by ours. */
export function fileMessageOf(message: StoredMessage, ids: IdMap): Raw {
  return restore(messageFields(message, ids), message.file_fields)
}

/** The fields of V1's `MessageSchema`, and of ours only those that are not as usual. */
function messageFields(message: StoredMessage, ids: IdMap): Raw {
  const { role, tool_calls, tool_returns, approval } = message
  const [first] = tool_returns
  const local = (id: string | null) => (id === null ? null : (ids.get(id) ?? id))
  const only = approval?.decisions.length === 1 ? approval.decisions[0] : undefined
  const single = only?.type === 'approval' ? only : undefined
  return {
    type: 'message',
    role,
    content: tool_returns.length > 0 ? tool_returns.flatMap(partsOf) : message.content,
    name: role === 'tool' ? (message.name ?? first?.name ?? null) : message.name,
    otid: message.otid,
    sender_id: local(message.sender_id),
    batch_item_id: null,
    group_id: local(message.group_id),
    id: local(message.id),
    model: message.model,
    agent_id: local(message.agent_id),
    tool_calls: tool_calls.length === 0 ? null : tool_calls.map(({ type, ...call }) => ({ ...call, type })),
    tool_call_id: first?.tool_call_id ?? null,
    tool_returns: tool_returns.map((result) => ({
      tool_call_id: result.tool_call_id,
      ...(result.name === first?.name ? {} : { name: result.name }),
      status: result.status,
      stdout: result.stdout ?? null,
      stderr: result.stderr ?? null,
      func_response: result.func_response,
      ...(result.not_made ? { not_made: true } : {}),
    })),
    created_at: message.created_at,
    approve: single?.approve ?? null,
    approval_request_id: approval ? local(approval.request_id) : null,
    denial_reason: single?.reason ?? null,
    ...(approval ? { approvals: approval.decisions.map(decisionFields) } : {}),
  }
}

/** The ids that a message names, the other way round. */
function pairsOf(file: FileMessage, ids: IdMap): [string, string][] {
  return [file.sender_id, file.group_id].flatMap((id) => {
    const own = id == null ? undefined : ids.get(id)
    return id == null || own === undefined ? [] : [[own, id]]
  })
}

function decisionFields(decision: StoredApproval): Raw {
  if (decision.type === 'approval') return { ...decision }
  const { tool_return, stdout = null, stderr = null, status, tool_call_id } = decision
  return { tool_call_id, status, stdout, stderr, func_response: tool_return }
}

function partsOf({ func_response }: StoredToolReturn): ContentPart[] {
  return typeof func_response === 'string' ? [{ type: 'text', text: func_response }] : func_response
}

function knownParts(content: FileMessage['content']): ContentPart[] {
  if (content == null || content === '') return []
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return content.flatMap((part) => contentPart.safeParse(part).data ?? [])
}

/** What the tools gave back; older files say it in the content alone. */
function returnsOf(
  file: FileMessage,
  content: ContentPart[],
  called: ReadonlyMap<string, string>,
): StoredToolReturn[] {
  const nameOf = (call: string, own: string | null | undefined) => own ?? called.get(call) ?? file.name ?? ''
  if (file.tool_returns && file.tool_returns.length > 0)
    return file.tool_returns.map(
      ({ tool_call_id, name, status, stdout, stderr, func_response, not_made }) => {
        const call = tool_call_id ?? file.tool_call_id ?? ''
        return {
          tool_call_id: call,
          name: nameOf(call, name),
          status,
          func_response: typeof func_response === 'string' ? func_response : knownParts(func_response),
          ...(stdout ? { stdout } : {}),
          ...(stderr ? { stderr } : {}),
          ...(not_made === true ? { not_made } : {}),
        }
      },
    )
  if (file.tool_call_id == null) return []
  const texts = content.flatMap((part) => (part.type === 'text' ? part.text : []))
  const plain = texts.length === content.length
  const func_response = plain ? texts.join('\n') : content
  const failed = plain && /^\{\s*"status":\s*"Failed"/.test(texts[0] ?? '')
  return [
    {
      tool_call_id: file.tool_call_id,
      name: nameOf(file.tool_call_id, file.name),
      status: failed ? 'error' : 'success',
      func_response,
    },
  ]
}

/** What was decided of the calls that waited. */
function approvalOf(
  { approvals, approve, approval_request_id, denial_reason }: FileMessage,
  { ids, request }: MessageContext,
): StoredMessage['approval'] | null {
  const request_id =
    approval_request_id == null
      ? (request?.id ?? '')
      : (ids.get(approval_request_id) ?? request?.id ?? approval_request_id)
  if (approvals && approvals.length > 0) {
    const decisions = approvals.map((decision): StoredApproval => {
      if ('approve' in decision && typeof decision.approve === 'boolean')
        return {
          type: 'approval',
          tool_call_id: decision.tool_call_id ?? '',
          approve: decision.approve,
          reason: typeof decision['reason'] === 'string' ? decision['reason'] : null,
        }
      const { tool_call_id, status, func_response, stdout, stderr } = decision as NonNullable<
        FileMessage['tool_returns']
      >[number]
      return {
        type: 'tool',
        tool_call_id: tool_call_id ?? '',
        tool_return: typeof func_response === 'string' ? func_response : knownParts(func_response),
        status,
        ...(stdout ? { stdout } : {}),
        ...(stderr ? { stderr } : {}),
      }
    })
    return { request_id, decisions }
  }
  if (approve == null) return null
  const decisions = (request?.tool_calls ?? []).map(({ id }): StoredApproval => ({
    type: 'approval',
    tool_call_id: id,
    approve,
    reason: denial_reason ?? null,
  }))
  return { request_id, decisions }
}

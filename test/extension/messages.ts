/** Messages of the wire, made short for tests of what the chat draws. */
import type { LettaMessage } from '../../shared/schema/message.ts'

type Of<T extends LettaMessage['message_type']> = Extract<LettaMessage, { message_type: T }>

const common = (id: string) => ({
  id,
  date: '2026-11-01T10:00:00+00:00',
  name: null,
  otid: null,
  sender_id: null,
  step_id: null,
  run_id: null,
  seq_id: null,
})

export function user(id: string, content: string): Of<'user_message'> {
  return { ...common(id), message_type: 'user_message', content }
}

export function assistant(id: string, content: string): Of<'assistant_message'> {
  return { ...common(id), message_type: 'assistant_message', content }
}

export function reasoning(id: string, text: string): Of<'reasoning_message'> {
  return {
    ...common(id),
    message_type: 'reasoning_message',
    source: 'reasoner_model',
    reasoning: text,
    signature: null,
  }
}

/** As it is streamed: one delta in both fields. */
export function toolCall(
  id: string,
  tool_call_id: string | null,
  name: string | null,
  args: string,
): Of<'tool_call_message'> {
  const delta = { name, arguments: args, tool_call_id }
  return { ...common(id), message_type: 'tool_call_message', tool_call: delta, tool_calls: delta }
}

export function toolReturn(
  id: string,
  tool_call_id: string,
  tool_return: string,
  status: 'success' | 'error' = 'success',
): Of<'tool_return_message'> {
  const own = { tool_call_id, tool_return, status, stdout: null, stderr: null }
  return {
    ...common(id),
    ...own,
    message_type: 'tool_return_message',
    tool_returns: [{ type: 'tool', ...own }],
  }
}

export function system(id: string, content: string): Of<'system_message'> {
  return { ...common(id), message_type: 'system_message', content }
}

export function approvalRequest(
  id: string,
  tool_call_id: string,
  name: string,
): Of<'approval_request_message'> {
  const call = { name, arguments: '{}', tool_call_id }
  return { ...common(id), message_type: 'approval_request_message', tool_call: call, tool_calls: [call] }
}

export function approvalResponse(
  id: string,
  request_id: string,
  tool_call_id: string,
  approve: boolean,
  reason: string | null,
): Of<'approval_response_message'> {
  return {
    ...common(id),
    message_type: 'approval_response_message',
    approvals: [{ type: 'approval', tool_call_id, approve, reason }],
    approve,
    approval_request_id: request_id,
    reason,
  }
}

import type { BatchMessage } from '../schema/batch.ts'
import type { StoredMessage, StoredToolReturn } from '../schema/message.ts'

/** A stored message as V1's batches show it: whole, in the form in which it is stored there. */
export function toBatchMessage(message: StoredMessage, batch_item_id: string | null): BatchMessage {
  const { tool_returns, approval, agent_id, conversation_id } = message
  const [first] = tool_returns
  const only = approval?.decisions.length === 1 ? approval.decisions[0] : undefined
  const single = only?.type === 'approval' ? only : undefined
  return {
    id: message.id,
    agent_id,
    conversation_id: conversation_id === agent_id ? null : conversation_id,
    batch_item_id,
    role: message.role === 'summary' ? 'system' : message.role,
    content: tool_returns.length > 0 ? tool_returns.flatMap(partsOf) : message.content,
    name: message.name ?? first?.name ?? null,
    model: message.model,
    tool_calls:
      message.tool_calls.length === 0
        ? null
        : message.tool_calls.map(({ id, type, function: called }) => ({ id, type, function: called })),
    tool_call_id: first?.tool_call_id ?? null,
    tool_returns: tool_returns.map((result) => ({
      tool_call_id: result.tool_call_id,
      status: result.status,
      stdout: result.stdout ?? null,
      stderr: result.stderr ?? null,
      func_response: result.func_response,
    })),
    step_id: message.step_id,
    run_id: message.run_id,
    otid: message.otid,
    group_id: message.group_id,
    sender_id: message.sender_id,
    is_err: message.is_err,
    approval_request_id: approval?.request_id ?? null,
    approve: single?.approve ?? null,
    denial_reason: single?.reason ?? null,
    approvals:
      approval?.decisions.map((decision) => {
        if (decision.type === 'approval') return decision
        const { tool_call_id, tool_return, status, stdout = null, stderr = null } = decision
        return { tool_call_id, status, stdout, stderr, func_response: tool_return }
      }) ?? null,
    created_by_id: null,
    last_updated_by_id: null,
    created_at: message.created_at,
    updated_at: null,
  }
}

function partsOf({ func_response }: StoredToolReturn) {
  return typeof func_response === 'string' ? [{ type: 'text' as const, text: func_response }] : func_response
}

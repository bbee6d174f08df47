import type { LettaMessage, StoredApproval, StoredMessage } from '../schema/message.ts'
import { commonFields, returnText } from './message-fields.ts'

type Shown<T extends LettaMessage['message_type']> = Extract<LettaMessage, { message_type: T }>

/** Calls that wait for an approval, or for the client that runs them; `tool_call` is the first of them. */
export function approvalRequest(message: StoredMessage): Shown<'approval_request_message'>[] {
  const tool_calls = message.tool_calls.map((call) => ({
    name: call.function.name,
    arguments: call.function.arguments,
    tool_call_id: call.id,
  }))
  const [tool_call] = tool_calls
  if (!tool_call) return []
  const common = commonFields(message, message.otid)
  const reason = message.approval_reason
  return [
    {
      ...common,
      message_type: 'approval_request_message',
      tool_call,
      tool_calls,
      ...(reason === undefined ? {} : { reason }),
    },
  ]
}

/** What was decided about such calls; the older fields are those of the first decision. */
export function approvalResponse(message: StoredMessage): Shown<'approval_response_message'>[] {
  const { approval } = message
  if (!approval) return []
  const first = approval.decisions.find((one) => one.type === 'approval')
  return [
    {
      ...commonFields(message, message.otid),
      message_type: 'approval_response_message',
      approvals: approval.decisions.map(shownDecision),
      approve: first?.approve ?? null,
      approval_request_id: approval.request_id,
      reason: first?.reason ?? null,
    },
  ]
}

function shownDecision(decision: StoredApproval) {
  if (decision.type === 'approval') return decision
  const { tool_call_id, tool_return, status, stdout, stderr } = decision
  return {
    type: 'tool' as const,
    tool_call_id,
    tool_return: returnText(tool_return),
    status,
    stdout: stdout ?? null,
    stderr: stderr ?? null,
  }
}

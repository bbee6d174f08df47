import { AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { StoredApproval, StoredMessage, StoredToolCall } from '../../schema/message.ts'
import type { ToolResult } from './tools.ts'

/** The message at the end of a context that asks for approval and has no answer yet. */
export function pendingApproval(context: readonly StoredMessage[]): StoredMessage | null {
  const last = context.at(-1)
  return last?.role === 'approval' && last.tool_calls.length > 0 ? last : null
}

/**
 * What a store throws for plain input while an approval is pending in a conversation (reference 3.6); the agent's id
 * stands for its default one.
 */
export function approvalPending(pending: StoredMessage, conversation_id: string): AppError {
  const names = pending.tool_calls.map((call) => call.function.name).join(', ')
  const place =
    conversation_id === pending.agent_id
      ? `/v1/agents/${pending.agent_id}/messages`
      : `/v1/conversations/${conversation_id}`
  return new AppError(
    'pending_approval',
    `The agent is waiting for approval on a tool call (${names}). Send an approval, a denial or the tool's return for ` +
      `it first, or cancel it with POST ${place}/cancel.`,
    { data: { pending_request_id: pending.id } },
  )
}

/** Calls at the end of a context that have no return yet. */
export interface OpenCalls {
  /** Of the step that asked for them. */
  asked: StoredMessage
  calls: StoredToolCall[]
  /** What was decided about those that needed it, by call id; null when nothing was asked, or not yet answered. */
  decisions: Map<string, StoredApproval> | null
}

/** The calls at the end of a context that have no return yet; null when there are none. */
export function openCalls(context: readonly StoredMessage[]): OpenCalls | null {
  let i = context.length - 1
  while (i >= 0 && context[i]?.role === 'tool') i--
  const returned = new Set(
    context.slice(i + 1).flatMap((message) => message.tool_returns.map((result) => result.tool_call_id)),
  )
  const decided = context[i]?.approval
  if (decided) i--
  const asked = context[i]
  if (asked?.role !== 'assistant' && asked?.role !== 'approval') return null
  const before = context[i - 1]
  // What may run at once is in a message of its own, before the one that waits.
  const beside = asked.role === 'approval' && before?.role === 'assistant' && before.step_id === asked.step_id
  const all = [...(beside ? before.tool_calls : []), ...asked.tool_calls]
  const calls = all.filter((call) => !returned.has(call.id))
  if (calls.length === 0) return null
  const decisions = decided ? new Map(decided.decisions.map((one) => [one.tool_call_id, one])) : null
  return { asked, calls, decisions }
}

/**
 * Returns for the calls at the end of a context that an interruption left without one; none while an approval is
 * pending. Providers refuse a history in which a call is not followed by its return.
 */
export function missingReturns(
  context: readonly StoredMessage[],
  conversation_id: string,
  now: string,
): StoredMessage[] {
  if (pendingApproval(context)) return []
  const open = openCalls(context)
  if (!open) return []
  const { approval: _, ...asked } = open.asked
  return [
    {
      ...asked,
      id: newId('message'),
      // The call may be one that a fork shares.
      conversation_id,
      role: 'tool',
      content: [],
      name: null,
      otid: null,
      tool_calls: [],
      tool_returns: open.calls.map((call) => {
        const decided = open.decisions?.get(call.id)
        const result = decided && !isApproved(decided) ? decidedResult(decided) : INTERRUPTED
        return { tool_call_id: call.id, name: call.function.name, ...result }
      }),
      is_err: false,
      created_at: now,
    },
  ]
}

const INTERRUPTED: ToolResult = {
  status: 'error',
  func_response: 'The call was interrupted before it finished; it may or may not have had an effect.',
}

/** Whether the call is to be run. */
export function isApproved(decision: StoredApproval): boolean {
  return decision.type === 'approval' && decision.approve
}

/** The return of a call that is not run: the client's own, or what the model is told of a denial. */
export function decidedResult(decision: StoredApproval): ToolResult {
  if (decision.type === 'tool') {
    const { tool_return, status, stdout, stderr } = decision
    return {
      status,
      func_response: tool_return,
      ...(stdout ? { stdout } : {}),
      ...(stderr ? { stderr } : {}),
    }
  }
  const reason = decision.reason ?? ''
  const text = 'Error: the user denied the request to call this tool.'
  return { status: 'error', func_response: reason === '' ? text : `${text} User reason: ${reason}` }
}

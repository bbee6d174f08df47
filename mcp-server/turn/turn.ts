import { textOf } from '../answer.ts'
import type { ApprovalRequest, TurnPart } from '../letta.ts'

/** A call of an agent's tool that waits for a yes or no. */
export interface PendingCall {
  tool_call_id: string
  name: string
  /** JSON, as the model wrote it. */
  arguments: string
}

interface ToolUse {
  name: string
  arguments: string
  result: string | null
  failed: boolean
}

/** What is known of a turn so far. */
export interface Turn {
  run_id: string | null
  /** What the agent said, by message: one may come in pieces. */
  said: Map<string, string>
  reasoning: Map<string, string>
  /** By id of the call. */
  tools: Map<string, ToolUse>
  pending: PendingCall[]
  stop_reason: string | null
}

export function newTurn(run_id: string | null = null): Turn {
  return {
    run_id,
    said: new Map(),
    reasoning: new Map(),
    tools: new Map(),
    pending: [],
    stop_reason: null,
  }
}

/** Takes one part of the turn in, streamed or kept; answers what a waiting person would want to hear of it. */
export function addPart(turn: Turn, item: TurnPart): string | null {
  if ('run_id' in item && item.run_id) turn.run_id = item.run_id
  switch (item.message_type) {
    case 'assistant_message':
      append(turn.said, item.id, textOf(item.content))
      return null
    case 'reasoning_message':
      append(turn.reasoning, item.id, item.reasoning)
      return null
    case 'tool_call_message': {
      const { tool_call_id, name, arguments: args } = item.tool_call
      const id = tool_call_id ?? item.id
      const known = turn.tools.get(id)
      turn.tools.set(id, {
        name: known?.name ?? name ?? 'a tool',
        arguments: (known?.arguments ?? '') + (args ?? ''),
        result: null,
        failed: false,
      })
      return known ? null : `uses ${name ?? 'a tool'}`
    }
    case 'tool_return_message': {
      const use = turn.tools.get(item.tool_call_id)
      const failed = item.status === 'error'
      turn.tools.set(item.tool_call_id, {
        name: item.name ?? use?.name ?? 'a tool',
        arguments: use?.arguments ?? '',
        result: textOf(item.tool_return),
        failed,
      })
      turn.pending = turn.pending.filter((call) => call.tool_call_id !== item.tool_call_id)
      return failed ? `${item.name ?? 'a tool'} failed` : null
    }
    case 'approval_request_message':
      for (const call of pendingCalls(item)) {
        const known = turn.pending.find((other) => other.tool_call_id === call.tool_call_id)
        if (known) known.arguments += call.arguments
        else turn.pending.push(call)
      }
      return null
    case 'stop_reason':
      turn.stop_reason = item.stop_reason
      return null
    default:
      return null
  }
}

/** The calls of a message that asks for approval; older servers name only the first. */
export function pendingCalls(item: ApprovalRequest): PendingCall[] {
  const { tool_call, tool_calls } = item
  const calls = Array.isArray(tool_calls) ? tool_calls : [tool_calls ?? tool_call]
  return calls.flatMap((call) =>
    call.tool_call_id
      ? [{ tool_call_id: call.tool_call_id, name: call.name ?? 'a tool', arguments: call.arguments ?? '' }]
      : [],
  )
}

function append(texts: Map<string, string>, id: string, text: string): void {
  texts.set(id, (texts.get(id) ?? '') + text)
}

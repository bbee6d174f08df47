import * as z from 'zod'
import { capped, oneLine } from '../answer.ts'
import type { ToolAnswer } from '../tool.ts'
import type { PendingCall, Turn } from './turn.ts'

/** Shape of what `agent_send_message` and `run_get` answer as data. */
export const turnResult = z.object({
  status: z.enum(['completed', 'running', 'waiting_for_approval', 'failed', 'cancelled']),
  reply: z.string(),
  run_id: z.string().nullable(),
  conversation_id: z.string().nullable(),
  tools_used: z.array(z.string()),
  approvals: z.array(z.object({ tool_call_id: z.string(), tool: z.string(), arguments: z.string() })),
})
export type TurnStatus = z.output<typeof turnResult>['status']

export interface ReplyOptions {
  /** The agent's name. */
  name: string
  /** Null for the agent's main conversation. */
  conversation_id: string | null
  status: TurnStatus
  /** With what the tools were called and what they answered, and what the agent thought. */
  full: boolean
  /** What the caller should know besides. */
  note?: string | undefined
  pinned: boolean
}

/** A turn as an answer: what the agent said, what it used, and how to go on. */
export function replyOf(turn: Turn, options: ReplyOptions): ToolAnswer {
  const { name, status, full, conversation_id, note } = options
  const said = [...turn.said.values()].filter((text) => text.trim() !== '').join('\n\n')
  const used = toolsUsed(turn)
  const parts = full ? [...details(turn)] : []
  if (said !== '') parts.push(said)
  else if (status === 'completed') parts.push(`(${name} said nothing.)`)
  if (used.length > 0 && !full) parts.push(`[${name} used ${used.join(', ')}]`)
  if (status === 'waiting_for_approval') parts.push(approvalNote(turn.pending, options))
  if (note !== undefined) parts.push(note)
  else if (status === 'completed' && turn.stop_reason === null) parts.push('[The answer broke off.]')
  else if (status === 'completed' && turn.stop_reason !== 'end_turn')
    parts.push(`[The turn ended with: ${turn.stop_reason}]`)
  if (conversation_id !== null) parts.push(`[conversation_id: ${conversation_id}]`)
  const rest = () =>
    turn.run_id === null
      ? 'Ask for the rest, or for less, with agent_send_message.'
      : `Ask for less with agent_send_message, or search it with conversation_search.`
  return {
    text: capped(parts.join('\n\n'), rest),
    structured: {
      status,
      reply: capped(said, rest),
      run_id: turn.run_id,
      conversation_id,
      tools_used: used,
      approvals: turn.pending.map((call) => ({
        tool_call_id: call.tool_call_id,
        tool: call.name,
        arguments: capped(call.arguments, () => '', 4_000),
      })),
    },
  }
}

/** The names of the tools that ran: not of those that wait for an approval, or were denied. */
function toolsUsed({ tools, pending }: Turn): string[] {
  const waiting = new Set(pending.map((call) => call.tool_call_id))
  const ran = [...tools].filter(
    ([id, { failed, result }]) => !waiting.has(id) && !(failed && DENIED.test(result ?? '')),
  )
  return [...new Set(ran.map(([, { name }]) => name))]
}

/** What a server of this API answers the model for a call that was denied. */
const DENIED = /^Error: (?:the user denied the request|request to call tool denied)/i

/** How to approve or deny, for a host that cannot ask its user itself. */
export function approvalNote(
  pending: readonly PendingCall[],
  options: { name: string; pinned: boolean },
): string {
  const { name, pinned } = options
  const [first] = pending
  if (!first) return `[${name} waits for an approval.]`
  const calls = pending.map(
    (call) => `- ${call.name}(${oneLine(call.arguments, 2_000)}) tool_call_id: "${call.tool_call_id}"`,
  )
  const agent = pinned ? '' : `agent: "${name}", `
  const all =
    pending.length > 1
      ? ' It goes on when each of them is decided; without tool_call_id all are decided at once.'
      : ''
  return (
    `${name} waits for approval of:\n${calls.join('\n')}\nAsk the user, then call agent_send_message with ` +
    `${agent}approval: {"tool_call_id": "${first.tool_call_id}", "approve": true} (false denies; reason is told to ${name}).${all}`
  )
}

function* details(turn: Turn): Generator<string> {
  for (const text of turn.reasoning.values()) if (text.trim() !== '') yield `[thought] ${text.trim()}`
  for (const { name, arguments: args, result, failed } of turn.tools.values()) {
    const end = result === null ? '' : `\n${failed ? 'failed' : 'answered'}: ${result}`
    yield capped(`[${name}] ${args}${end}`, () => 'A tool call; the rest is in the conversation.', 6_000)
  }
}

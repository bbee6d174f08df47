import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import type { Input } from '../letta.ts'
import { defineTool, type ToolAnswer, type ToolCall } from '../tool.ts'
import { answersOf, approvalInput, askUser, decide, waitingIn } from '../turn/approvals.ts'
import { type ReplyOptions, replyOf, turnResult } from '../turn/reply.ts'
import { LONGEST_WAIT, type Sent, sendAndWait, type Target } from '../turn/send.ts'
import { conversationOf } from '../turn/target.ts'
import { newTurn, type PendingCall } from '../turn/turn.ts'

export const agentSendMessage = defineTool({
  name: 'agent_send_message',
  title: 'Send a message to an agent',
  description:
    'Sends a message to an agent and answers its reply. It remembers, and may edit its memory or use its tools. A longer turn goes on by itself: run_get waits for it.',
  about: 'agent',
  input: {
    message: z.string().regex(/\S/, 'it is blank').optional().describe('What to tell or ask it'),
    conversation_id: z.string().min(1).optional().describe('Default: its main one; "new" begins another'),
    wait_seconds: z.int().min(1).max(LONGEST_WAIT).default(LONGEST_WAIT),
    approval: z
      .strictObject({
        tool_call_id: z.string().optional(),
        approve: z.boolean(),
        reason: z.string().optional(),
      })
      .optional()
      .describe('Instead of message: decides a tool call that waits for approval'),
    detail: z.enum(['concise', 'full']).default('concise').describe('full: also tool calls and thoughts'),
  },
  output: turnResult,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  async run(input, call) {
    const { message, approval } = input
    if ((message === undefined) === (approval === undefined))
      throw new AppError('invalid_argument', 'Give either message or approval: one of them, and not both.')
    const agent = await call.agent()
    const options: Options = { wait_seconds: input.wait_seconds, full: input.detail === 'full' }
    const answered = answersOf(call.user)
    if (answered) {
      const { asked, decisions, undecided } = answered
      if (asked.agent_id !== agent.id)
        throw new AppError('invalid_argument', 'This answers a question about another agent.')
      const target: Target = { agent, conversation_id: asked.conversation_id }
      if (undecided.length > 0) return stillWaiting(call, target, asked, options)
      return answer(call, target, [approvalInput(decisions)], options)
    }
    const target: Target = {
      agent,
      conversation_id: await conversationOf(call, agent, input.conversation_id),
    }
    if (message !== undefined) return answer(call, target, [{ role: 'user', content: message }], options)
    if (approval === undefined) return ''
    const waiting = await waitingIn(call, target)
    const { decisions, undecided } = decide(call, target, waiting, approval)
    if (undecided.length > 0) return stillWaiting(call, target, { calls: undecided, run_id: null }, options)
    return answer(call, target, [approvalInput(decisions)], options)
  },
})

interface Options {
  wait_seconds: number
  full: boolean
}

async function answer(call: ToolCall, target: Target, messages: Input[], options: Options) {
  const sent = await sendAndWait(call, target, messages, options.wait_seconds)
  const { turn } = sent
  const waits = sent.ended === 'ended' && turn.stop_reason === 'requires_approval' && turn.pending.length > 0
  if (waits && call.user) return askUser(call.user, target, turn.run_id, turn.pending)
  return replyOf(turn, { ...replyOptions(call, target, options), ...statusOf(sent, target, options) })
}

function stillWaiting(
  call: ToolCall,
  target: Target,
  { calls, run_id }: { calls: readonly PendingCall[]; run_id: string | null },
  options: Options,
): ToolAnswer {
  const turn = { ...newTurn(run_id), pending: [...calls] }
  return replyOf(turn, { ...replyOptions(call, target, options), status: 'waiting_for_approval' })
}

function replyOptions(call: ToolCall, target: Target, { full }: Options) {
  const { agent, conversation_id } = target
  return { name: agent.name, conversation_id, full, pinned: call.settings.agent !== null }
}

function statusOf(
  { turn, ended }: Sent,
  { agent }: Target,
  { wait_seconds }: Options,
): Pick<ReplyOptions, 'status' | 'note'> {
  if (ended === 'cancelled') return { status: 'cancelled', note: `Stopped ${agent.name}.` }
  if (ended === 'running') {
    const run = turn.run_id === null ? '' : ` (${turn.run_id})`
    const next =
      turn.run_id === null
        ? 'look at what it learns with memory_read'
        : `call run_get with run_id "${turn.run_id}" for the reply, or run_cancel to stop it`
    return {
      status: 'running',
      note: `${agent.name} is still working after ${wait_seconds} s${run}. The turn goes on: ${next}.`,
    }
  }
  if (turn.stop_reason === 'requires_approval') return { status: 'waiting_for_approval' }
  if (turn.stop_reason === 'cancelled') return { status: 'cancelled' }
  return { status: 'completed' }
}

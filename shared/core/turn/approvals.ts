import { AppError } from '../../schema/errors.ts'
import type {
  ApprovalInput,
  StoredApproval,
  StoredMessage,
  StoredToolCall,
  TurnMessage,
} from '../../schema/message.ts'
import { approvalMessage, decisionMessage, inputMessage } from '../messages.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { missingReturns, openCalls, pendingApproval } from '../ports/open-calls.ts'
import { agentNotFound } from '../../schema/errors.ts'
import type { Place } from './records.ts'

/** How far back a repeated approval is recognised by the returns of its calls (reference 3.6). */
const RETRY_MESSAGES = 10

/** Said in the name of a client that repeats an approval which was carried out already, and adds nothing to it. */
const GO_ON = 'The tool returns above have arrived. Go on from where you stopped.'

/** Why the calls of a cancelled request for approval are denied. */
const CANCELLED = 'The request was cancelled.'

/** The input of a turn as it is stored. */
export interface TurnStart {
  /** Stored as the turn opens. */
  messages: StoredMessage[]
  /** Stored after the returns of the calls that `messages` decides about. */
  follow_ups: StoredMessage[]
  /** The request for approval that `messages` answers. */
  approval: string | null
}

/**
 * Reads the input of a turn: plain messages, or one answer to a pending approval with messages after it. Throws
 * `invalid_argument` for an answer that does not fit what is pending, `already_started` with `data.run_id` for one that a
 * run has carried out to its end, `not_found`.
 */
export async function readInput(
  deps: CoreDeps,
  actor: Actor,
  input: readonly TurnMessage[],
  place: Place,
): Promise<TurnStart> {
  const now = deps.clock.now()
  const plain = input.flatMap((message) => (isAnswer(message) ? [] : [inputMessage(message, place, now)]))
  const [answer] = input
  if (plain.length === input.length) return { messages: plain, follow_ups: [], approval: null }
  if (!answer || !isAnswer(answer) || plain.length !== input.length - 1)
    throw new AppError(
      'invalid_argument',
      'an approval or tool return must be the first message of a request, and the only one of its kind',
    )
  const found = await deps.store.turns.getContext(actor, place.agent_id, place.conversation_id)
  if (!found) throw agentNotFound()
  const pending = pendingApproval(found.context)
  if (!pending) {
    if (!isRepeated(found.context, answer)) throw nothingPending()
    if (plain.length === 0) await refuseRepetition(deps, actor, { context: found.context, answer, place })
    const again = [inputMessage({ role: 'user', content: GO_ON }, place, now)]
    return { messages: plain.length > 0 ? plain : again, follow_ups: [], approval: null }
  }
  const decisions = decide(pending, answer)
  const message = decisionMessage(pending.id, decisions, answer, place, now)
  return { messages: [message], follow_ups: plain, approval: pending.id }
}

/**
 * Denies every call that waits in a conversation, for whom nobody will answer any more. Answers the run that asked; null
 * when nothing waits, or not for one of `run_ids`. Throws `not_found`, `conversation_busy`.
 */
export async function denyPending(
  deps: CoreDeps,
  actor: Actor,
  target: { agent_id: string; conversation_id: string; run_ids: readonly string[] | null },
): Promise<string | null> {
  const { agent_id, conversation_id, run_ids } = target
  const context = (await deps.store.turns.getContext(actor, agent_id, conversation_id))?.context
  if (!context) throw agentNotFound()
  const pending = pendingApproval(context)
  const run_id = pending?.run_id ?? null
  if (!pending || run_id === null || (run_ids && !run_ids.includes(run_id))) return null
  const now = deps.clock.now()
  const place = { agent_id, conversation_id, run_id, step_id: pending.step_id }
  const denied = decisionMessage(pending.id, denyAll(pending.tool_calls, CANCELLED), {}, place, now)
  const returns = missingReturns([...context, denied], conversation_id, now.toISOString())
  await deps.store.turns.answerApproval(actor, { agent_id, conversation_id, approval: pending.id }, [
    denied,
    ...returns,
  ])
  return run_id
}

/**
 * The message that asks for approval of calls. Its id is the one before that of the answer they belong to, so that a
 * stream can name it as soon as the first call begins (reference 3.6).
 */
export function approvalRequest(
  assistant_id: string,
  calls: StoredToolCall[],
  model: string,
  place: Place,
  now: Date,
  reason: string | null = null,
): StoredMessage {
  return approvalMessage(approvalIdOf(assistant_id), calls, model, place, now, reason)
}

/** The id of the message that asks for approval of calls of this answer. */
export function approvalIdOf(message_id: string): string {
  const at = message_id.indexOf('-') + 1
  const hex = message_id.slice(at).replaceAll('-', '')
  const before = (BigInt(`0x${hex}`) - 1n).toString(16).padStart(32, '0')
  return (
    message_id.slice(0, at) +
    [
      before.slice(0, 8),
      before.slice(8, 12),
      before.slice(12, 16),
      before.slice(16, 20),
      before.slice(20),
    ].join('-')
  )
}

function isAnswer(message: TurnMessage): message is ApprovalInput {
  return message.type === 'approval' || message.type === 'tool_return'
}

/** The decision about each pending call, in their order. */
function decide(pending: StoredMessage, answer: ApprovalInput): StoredApproval[] {
  const calls = pending.tool_calls
  const given = decisionsOf(answer)
  if (!given) {
    const { approval_request_id } = answer
    if (approval_request_id != null && approval_request_id !== pending.id)
      throw new AppError(
        'invalid_argument',
        `Invalid approval request ID. Expected '${pending.id}', but received '${approval_request_id}'`,
      )
    return calls.map((call) => ({
      type: 'approval',
      tool_call_id: call.id,
      approve: answer.approve === true,
      reason: answer.reason ?? null,
    }))
  }
  const byId = new Map(given.map((one) => [one.tool_call_id, one]))
  const fits = given.length === calls.length && calls.every((call) => byId.has(call.id))
  if (!fits)
    throw new AppError(
      'invalid_argument',
      `Invalid tool call IDs. Expected ${list(calls.map((call) => call.id))}, but received ` +
        `${list(given.map((one) => one.tool_call_id))}; answer each pending call once, all in one message`,
    )
  return calls.flatMap((call) => byId.get(call.id) ?? [])
}

function decisionsOf(answer: ApprovalInput): StoredApproval[] | null {
  return answer.tool_returns ?? answer.approvals ?? null
}

/** Whether the calls that this answers were answered a moment ago, by the same request sent twice. */
function isRepeated(context: readonly StoredMessage[], answer: ApprovalInput): boolean {
  const recent = context.slice(-RETRY_MESSAGES)
  const given = decisionsOf(answer)
  if (!given) {
    const id = answer.approval_request_id
    return id != null && recent.some((message) => message.approval?.request_id === id)
  }
  const returned = new Set([
    ...recent.flatMap((message) => message.tool_returns.map((result) => result.tool_call_id)),
    ...(openCalls(context)?.decisions?.keys() ?? []),
  ])
  return given.length > 0 && given.every((one) => returned.has(one.tool_call_id))
}

/**
 * An answer that is sent again with nothing new: the model is asked again only when it has not answered yet. Throws
 * `already_started` when it has, and `invalid_argument` when the calls were cancelled before this answer came.
 */
async function refuseRepetition(
  deps: CoreDeps,
  actor: Actor,
  { context, answer, place }: { context: readonly StoredMessage[]; answer: ApprovalInput; place: Place },
): Promise<void> {
  const given = decisionsOf(answer)
  const decided = context.findLast(({ approval }) =>
    given
      ? approval?.decisions.some((one) => one.tool_call_id === given[0]?.tool_call_id)
      : approval?.request_id === answer.approval_request_id,
  )?.approval?.decisions
  if (!decided) return
  if (decided.every((one) => one.type === 'approval' && !one.approve && one.reason === CANCELLED))
    throw nothingPending('; the request was cancelled before this answer came. Send a message to go on')
  const same = given
    ? given.length === decided.length && given.every((one) => decided.some((known) => isSame(one, known)))
    : decided.every((one) => one.type === 'approval' && one.approve === (answer.approve === true))
  if (!same) return
  const calls = new Set(decided.map((one) => one.tool_call_id))
  const returned = context.findLast((m) => m.tool_returns.some((result) => calls.has(result.tool_call_id)))
  const run = returned?.run_id ? await deps.store.turns.getRun(actor, returned.run_id) : null
  if (run?.status !== 'completed' || (run.conversation_id ?? run.agent_id) !== place.conversation_id) return
  throw new AppError('already_started', `This answer was sent before: run '${run.id}' carried it out.`, {
    data: { run_id: run.id },
  })
}

function isSame(one: StoredApproval, other: StoredApproval): boolean {
  if (one.tool_call_id !== other.tool_call_id) return false
  if (one.type === 'approval') return other.type === 'approval' && one.approve === other.approve
  return other.type === 'tool' && one.status === other.status
}

function denyAll(calls: readonly StoredToolCall[], reason: string): StoredApproval[] {
  return calls.map((call) => ({ type: 'approval', tool_call_id: call.id, approve: false, reason }))
}

function nothingPending(more = ''): AppError {
  return new AppError(
    'invalid_argument',
    `Cannot process approval response: No tool call is currently awaiting approval${more}`,
  )
}

function list(ids: readonly string[]): string {
  return `[${ids.map((id) => `'${id}'`).join(', ')}]`
}

import type { InputRequests, InputRequiredResult } from '@modelcontextprotocol/server'
import { inputRequired } from '@modelcontextprotocol/server'
import { AppError } from '../../shared/schema/errors.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import { capped } from '../answer.ts'
import type { Input } from '../letta.ts'
import type { ToolCall, UserQuestions } from '../tool.ts'
import type { Decision } from './decisions.ts'
import type { Target } from './send.ts'
import { pendingCalls, type PendingCall } from './turn.ts'

/** What a call that asked its user has left for the next round. */
interface Asked {
  agent_id: string
  conversation_id: string | null
  run_id: string | null
  calls: PendingCall[]
}

const keyOf = (index: number) => `call_${index}`

/** Asks the host's user about each call that waits. */
export function askUser(
  user: UserQuestions,
  target: Target,
  run_id: string | null,
  calls: PendingCall[],
): Promise<InputRequiredResult> {
  const questions: InputRequests = Object.fromEntries(
    calls.map((call, index) => [
      keyOf(index),
      inputRequired.elicit({
        message: `${target.agent.name} wants to run ${call.name} with:\n${readable(call.arguments)}`,
        requestedSchema: {
          type: 'object',
          properties: {
            approve: { type: 'boolean', title: `Let it run ${call.name}` },
            reason: {
              type: 'string',
              title: 'Reason',
              description: `Told to ${target.agent.name} (optional)`,
            },
          },
          required: ['approve'],
        },
      }),
    ]),
  )
  const { agent, conversation_id } = target
  const state: Asked = { agent_id: agent.id, conversation_id, run_id, calls }
  return user.ask(questions, state)
}

/** What the user was asked about in the round before, and what was answered; null when nobody was asked. */
export function answersOf(
  user: UserQuestions | null,
): { asked: Asked; decisions: Decision[]; undecided: PendingCall[] } | null {
  const asked = user?.state() as Asked | undefined
  if (!user || asked === undefined) return null
  const decisions: Decision[] = []
  const undecided: PendingCall[] = []
  for (const [index, call] of asked.calls.entries()) {
    const view = user.answer(keyOf(index))
    const decision = view.kind === 'elicit' ? decisionOf(call, view.action, view.content) : null
    if (decision) decisions.push(decision)
    else undecided.push(call)
  }
  return { asked, decisions, undecided }
}

function decisionOf(
  { tool_call_id }: PendingCall,
  action: 'accept' | 'decline' | 'cancel',
  content: Record<string, unknown> | undefined,
): Decision | null {
  if (action === 'decline') return { tool_call_id, approve: false, reason: 'The user declined.' }
  const approve = content?.['approve']
  if (action !== 'accept' || typeof approve !== 'boolean') return null
  const reason = content?.['reason']
  return { tool_call_id, approve, ...(typeof reason === 'string' && reason !== '' ? { reason } : {}) }
}

/** The calls that wait in a conversation now. Throws `conflict` when there are none. */
export async function waitingIn({ client, signal }: ToolCall, target: Target): Promise<PendingCall[]> {
  const { agent, conversation_id } = target
  const query = { limit: 20, order: 'desc' as const }
  const page =
    conversation_id === null
      ? await client.letta.conversations.messages.list(
          'default',
          { ...query, agent_id: agent.id },
          { signal },
        )
      : await client.letta.conversations.messages.list(conversation_id, query, { signal })
  for (const message of page.items) {
    if (message.message_type === 'approval_request_message') return pendingCalls(message)
    if (message.message_type === 'approval_response_message' || message.message_type === 'user_message') break
  }
  throw new AppError(
    'conflict',
    `No call of ${agent.name} waits for an approval${conversation_id === null ? '' : ' in this conversation'}. Send a message instead.`,
  )
}

/**
 * What a decision of the caller comes to: an answer to all that waits, or null with those that are undecided yet. Throws
 * `not_found` for a call that does not wait.
 */
export function decide(
  call: ToolCall,
  target: Target,
  waiting: readonly PendingCall[],
  given: { tool_call_id?: string | undefined; approve: boolean; reason?: string | undefined },
): { decisions: Decision[]; undecided: PendingCall[] } {
  const { approve, reason } = given
  const ids = waiting.map(({ tool_call_id }) => tool_call_id)
  const decisionFor = (tool_call_id: string): Decision => ({ tool_call_id, approve, reason })
  if (given.tool_call_id === undefined) return { decisions: ids.map(decisionFor), undecided: [] }
  if (!ids.includes(given.tool_call_id))
    throw new AppError(
      'not_found',
      `No call '${given.tool_call_id}' of ${target.agent.name} waits. ${didYouMean(given.tool_call_id, ids, '')}`,
    )
  const key = target.conversation_id ?? target.agent.id
  const decisions = call.decisions.add(key, decisionFor(given.tool_call_id), ids)
  const undecided = call.decisions.undecided(key, ids)
  return decisions
    ? { decisions, undecided: [] }
    : { decisions: [], undecided: waiting.filter(({ tool_call_id }) => undecided.includes(tool_call_id)) }
}

/** Decisions as the message that the server takes. */
export function approvalInput(decisions: readonly Decision[]): Input {
  return {
    type: 'approval',
    approvals: decisions.map(({ tool_call_id, approve, reason }) => ({
      type: 'approval' as const,
      tool_call_id,
      approve,
      ...(reason === undefined ? {} : { reason }),
    })),
  }
}

/** JSON over several lines, as far as a person reads. */
function readable(json: string): string {
  let text = json
  try {
    text = JSON.stringify(JSON.parse(json), null, 2)
  } catch {
    // What the model wrote is no JSON: it is shown as it is.
  }
  return capped(text, () => 'agent_get with detail "full" shows all of it.', 3_000)
}

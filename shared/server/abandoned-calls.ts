import { denyPending } from '../core/turn/approvals.ts'
import { pendingApproval } from '../core/ports/open-calls.ts'
import { isAppError } from '../schema/errors.ts'
import type { TurnRequest } from './turn-response.ts'

/**
 * Begins a turn. Where a call of a client's tool waits that `turn.abandons` names, it is cancelled and the turn begins
 * after all: clients of OpenAI's and Anthropic's APIs have no other way to say that they dropped it. What waits for a
 * person, or was asked of a client of `/v1`, stays, and `pending_approval` is thrown as ever.
 */
export async function pastAbandonedCalls<T>(
  turn: TurnRequest<Record<string, unknown>>,
  begin: () => Promise<T>,
): Promise<T> {
  try {
    return await begin()
  } catch (error) {
    if (!isAppError(error, 'pending_approval') || !(await cancelAbandoned(turn))) throw error
    return await begin()
  }
}

/** Whether it was cancelled. */
async function cancelAbandoned(turn: TurnRequest<Record<string, unknown>>): Promise<boolean> {
  const { actor, context, agent_id, conversation_id, abandons } = turn
  if (!abandons) return false
  const { turns } = context.deps.store
  const found = await turns.getContext(actor, agent_id, conversation_id)
  const pending = pendingApproval(found?.context ?? [])
  const run = pending?.run_id ? await turns.getRun(actor, pending.run_id) : null
  const of_client = run?.request_config?.['view_tools']
  if (!pending || !run || !Array.isArray(of_client)) return false
  const isAbandoned = ({ id, function: { name } }: (typeof pending.tool_calls)[number]) =>
    of_client.includes(name) && abandons(id)
  if (!pending.tool_calls.every(isAbandoned)) return false
  return (await denyPending(context.deps, actor, { agent_id, conversation_id, run_ids: [run.id] })) !== null
}

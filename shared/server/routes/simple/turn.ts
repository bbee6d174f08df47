import type { Actor } from '../../../core/ports/actor.ts'
import { messageRequest } from '../../../schema/message.ts'
import type { SimpleAnswer, SimpleContent } from '../../../schema/simple.ts'
import type { ServerContext } from '../../context.ts'
import { answerTurn, type TurnRequest } from '../../turn-response.ts'
import { withRole } from './roles.ts'
import { spokenBetween } from '../../spoken.ts'

/** Where a message goes. */
interface Place {
  actor: Actor
  context: ServerContext
  request: Request
  agent_id: string
  conversation_id: string
}

/** The turn of a message, as `/v1` begins it. */
export function turnOf(
  place: Place,
  message: SimpleContent,
  options: { max_steps?: number | undefined; include_agent_state?: boolean | null | undefined },
): TurnRequest {
  const { max_steps, include_agent_state } = options
  const request = { input: message, max_steps, include_agent_state: include_agent_state ?? false }
  return { ...place, body: messageRequest.parse({ ...request, stream_tokens: true }) }
}

/** Sends the message when its conversation is free, and waits for the answer. */
export async function answerOf(turn: TurnRequest): Promise<SimpleAnswer> {
  const { agent_id, conversation_id } = turn
  const { messages, usage, stop_reason, agent_state } = await turn.context.queue.run(
    turn,
    conversation_id,
    () => answerTurn(turn),
  )
  return {
    content: spokenBetween(messages),
    messages: messages.map(withRole),
    usage,
    stop_reason: stop_reason.stop_reason,
    conversation_id,
    agent_id,
    run_id: usage.run_ids?.[0] ?? messages[0]?.run_id ?? null,
    ...(agent_state ? { agent_state } : {}),
  }
}

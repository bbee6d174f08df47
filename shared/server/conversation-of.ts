import type { Actor } from '../core/ports/actor.ts'
import type { Conversation } from '../schema/conversation.ts'
import { AppError } from '../schema/errors.ts'
import type { ServerContext } from './context.ts'
import { notFound } from './errors.ts'

/** A conversation as turns name it: the agent's id for its default conversation. */
export interface ConversationTarget {
  agent_id: string
  conversation_id: string
}

/**
 * The conversation that a request names: its own id, `default` with the agent's id, or (deprecated in V1) the agent's id
 * alone. Throws `not_found`, and `invalid_argument` for `default` of no agent or a conversation of another one.
 */
export async function conversationOf(
  context: ServerContext,
  actor: Actor,
  name: string,
  agent_id: string | null | undefined,
): Promise<{ target: ConversationTarget; conversation: Conversation }> {
  if (name === 'default' && agent_id == null)
    throw new AppError(
      'invalid_argument',
      "the conversation 'default' is one of an agent: name it with agent_id",
    )
  const id = name === 'default' ? (agent_id ?? '') : name
  const conversation = await context.deps.store.conversations.get(actor, id)
  if (!conversation) throw id.startsWith('agent-') ? notFound('Agent', id) : notFound('Conversation', id)
  if (agent_id != null && agent_id !== conversation.agent_id)
    throw new AppError(
      'invalid_argument',
      `conversation '${id}' is of agent '${conversation.agent_id}', not of '${agent_id}'`,
    )
  return { target: { agent_id: conversation.agent_id, conversation_id: id }, conversation }
}

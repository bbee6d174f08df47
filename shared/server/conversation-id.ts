import type { Actor } from '../core/ports/actor.ts'
import { isId } from '../schema/ids.ts'
import type { ServerContext } from './context.ts'
import { notFound } from './errors.ts'

/**
 * The id of a conversation of this agent: of the default one for `default`, the agent's id and nothing. Throws `not_found`
 * for one that is not there or is another agent's.
 */
export async function conversationId(
  { deps }: ServerContext,
  actor: Actor,
  agent_id: string,
  name: string | null | undefined,
): Promise<string> {
  if (name == null || name === 'default' || name === agent_id) return agent_id
  const found = isId('conv', name) ? await deps.store.conversations.get(actor, name) : null
  if (found?.agent_id !== agent_id) throw notFound('Conversation', name)
  return name
}

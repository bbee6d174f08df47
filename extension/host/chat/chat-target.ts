import { chooseAgent } from '../commands/open-chat.ts'
import type { Library } from '../library.ts'
import type { Entry } from '../views/entry.ts'
import type { ChatTarget } from './conversation-calls.ts'

/**
 * The conversation that Open Chat means: the one of the row (an agent or a conversation), agent id or pair of ids that
 * it was given, else the main one of the agent the user picks. Null when the user changes their mind. Throws when there
 * is no such agent.
 */
export async function chooseChat(given: unknown, library: Library): Promise<ChatTarget | null> {
  const pair = given as { agentId?: unknown; conversationId?: unknown } | undefined
  if (typeof pair?.agentId === 'string') {
    const agent = await chooseAgent(pair.agentId, library)
    return agent && { agent_id: agent.id, conversation_id: conversationOf(pair.conversationId) }
  }
  const agent = await chooseAgent(given, library)
  if (!agent) return null
  const row = given as Partial<Entry> | undefined
  const conversation = row?.kind === 'conversation' ? row.object_id : null
  return { agent_id: agent.id, conversation_id: conversationOf(conversation) }
}

function conversationOf(id: unknown): string | null {
  return typeof id === 'string' && id.startsWith('conv-') ? id : null
}

import type { Actor } from '../../core/ports/actor.ts'
import type { Agent } from '../../schema/agent.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { type agentOfRow, tagsOfAgent } from './agent-rows.ts'
import { blocksInConversation, type BlockScope } from './conversation-blocks.ts'
import { agentSeenBy } from './conversation-rows.ts'
import { withDirectories } from './file-links.ts'
import { archivalSummary } from './passage-rows.ts'
import type { Connection } from './query.ts'
import { toolsOfAgent } from './tools.ts'
import { type Conversation, storedCount } from './turn-queries.ts'

/** What a conversation sees of its agent, asked together: on another machine together takes the time of the slowest. */
export async function whatIsSeen(connection: Connection, actor: Actor, scope: BlockScope) {
  const { agent_id } = scope
  const [blocks, tools, tags, directories, count, archival] = await Promise.all([
    blocksInConversation(connection, actor, scope),
    toolsOfAgent(connection, actor, agent_id),
    tagsOfAgent(connection, actor, agent_id),
    withDirectories(connection, actor, agent_id),
    storedCount.get(connection, { agent: agent_id, org: actor.organization_id }),
    archivalSummary(connection, actor, agent_id),
  ])
  return { blocks, tools, tags, directories, stored: count?.n ?? 0, archival }
}

export type Seen = Awaited<ReturnType<typeof whatIsSeen>>

/** The agent as this conversation has it. */
export function agentIn(
  conversation: Conversation,
  agent: ReturnType<typeof agentOfRow>,
  { blocks, tools, tags, directories }: Seen,
  context: readonly StoredMessage[],
): Agent {
  const message_ids = context.map((message) => message.id)
  return { ...agentSeenBy(conversation, agent), blocks, tools, tags, message_ids, ...directories }
}

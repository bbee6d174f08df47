import { oneLine, when } from './answer.ts'
import type { AgentState } from './letta.ts'
import type { LociClient } from '../shared/client/http.ts'

/** Without the blocks, which an agent has twice (as its memory, too): they are read alone. */
const RELATIONS = [
  'agent.pending_approval' as const,
  'agent.sources' as const,
  'agent.tags' as const,
  'agent.tools' as const,
]

/** An agent, and what it is in a few lines. */
export async function summaryOf(
  client: LociClient,
  agent_id: string,
  { signal }: { signal: AbortSignal },
): Promise<{ agent: AgentState; lines: string[] }> {
  const agent = await client.letta.agents.retrieve(agent_id, { include: RELATIONS }, { signal })
  const { items } = await client.letta.agents.blocks.list(agent_id, { limit: 100, order: 'asc' }, { signal })
  const { tools, sources, tags } = agent
  const memory = items.map((block) => `${block.label ?? 'unnamed'} (${block.value.length} characters)`)
  const last = agent.last_run_completion ? `, last turn: ${when(agent.last_run_completion)}` : ''
  const lines = [
    `${agent.name} (${agent.id})`,
    ...(agent.description ? [oneLine(agent.description, 500)] : []),
    `model: ${agent.model ?? agent.llm_config?.handle ?? agent.llm_config?.model ?? 'unknown'}`,
    `memory: ${memory.join(', ') || 'no blocks'}`,
    `tools: ${tools.map((tool) => tool.name ?? 'unnamed').join(', ') || 'none'}`,
    ...(sources && sources.length > 0 ? [`folders: ${sources.map(({ name }) => name).join(', ')}`] : []),
    ...(tags.length > 0 ? [`tags: ${tags.join(', ')}`] : []),
    `created: ${when(agent.created_at)}${last}`,
  ]
  return { agent, lines }
}

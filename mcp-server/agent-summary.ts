import { oneLine, when } from './answer.ts'
import type { AgentState } from './letta.ts'

/** What is read of an agent to describe it. */
export const RELATIONS = [
  'agent.blocks' as const,
  'agent.pending_approval' as const,
  'agent.sources' as const,
  'agent.tags' as const,
  'agent.tools' as const,
]

/** An agent in a few lines; it must have been read with `RELATIONS`. */
export function summaryOf(agent: AgentState): string[] {
  const { blocks, tools, sources, tags } = agent
  const memory = blocks.map((block) => `${block.label ?? 'unnamed'} (${block.value.length} characters)`)
  const last = agent.last_run_completion ? `, last turn: ${when(agent.last_run_completion)}` : ''
  return [
    `${agent.name} (${agent.id})`,
    ...(agent.description ? [oneLine(agent.description, 500)] : []),
    `model: ${agent.model ?? agent.llm_config?.handle ?? agent.llm_config?.model ?? 'unknown'}`,
    `memory: ${memory.join(', ') || 'no blocks'}`,
    `tools: ${tools.map((tool) => tool.name ?? 'unnamed').join(', ') || 'none'}`,
    ...(sources && sources.length > 0 ? [`folders: ${sources.map(({ name }) => name).join(', ')}`] : []),
    ...(tags.length > 0 ? [`tags: ${tags.join(', ')}`] : []),
    `created: ${when(agent.created_at)}${last}`,
  ]
}

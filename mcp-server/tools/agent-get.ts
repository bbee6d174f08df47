import * as z from 'zod'
import { capped, oneLine, when } from '../answer.ts'
import type { AgentState } from '../letta.ts'
import { defineTool, READS } from '../tool.ts'
import { approvalNote } from '../turn/reply.ts'
import { pendingCalls } from '../turn/turn.ts'

const RELATIONS = [
  'agent.blocks' as const,
  'agent.pending_approval' as const,
  'agent.sources' as const,
  'agent.tags' as const,
  'agent.tools' as const,
]

export const agentGet = defineTool({
  name: 'agent_get',
  title: 'Look at an agent',
  description: 'What an agent is: model, memory blocks, tools, files, and what waits for approval.',
  about: 'agent',
  input: {
    detail: z
      .enum(['concise', 'full'])
      .default('concise')
      .describe('full: also system prompt, settings and tool descriptions'),
  },
  annotations: READS,
  async run({ detail }, call) {
    const { client, signal } = call
    const found = await call.agent()
    const agent = await client.letta.agents.retrieve(found.id, { include: RELATIONS }, { signal })
    const lines = summaryOf(agent)
    const pending = agent.pending_approval && pendingCalls(agent.pending_approval)
    if (pending && pending.length > 0)
      lines.push(approvalNote(pending, { name: agent.name, pinned: call.settings.agent !== null }))
    if (detail === 'full') lines.push(...detailsOf(agent))
    return capped(lines.join('\n'), () => 'Read its blocks one by one with memory_read.')
  },
})

function summaryOf(agent: AgentState): string[] {
  const { blocks, tools, sources, tags } = agent
  return [
    `${agent.name} (${agent.id})`,
    ...(agent.description ? [oneLine(agent.description, 500)] : []),
    `model: ${agent.model ?? agent.llm_config?.handle ?? agent.llm_config?.model ?? 'unknown'}`,
    `memory: ${
      blocks.map((block) => `${block.label ?? 'unnamed'} (${block.value.length} characters)`).join(', ') ||
      'no blocks'
    }`,
    `tools: ${tools.map((tool) => tool.name ?? 'unnamed').join(', ') || 'none'}`,
    ...((sources ?? []).length > 0 ? [`folders: ${sources?.map(({ name }) => name).join(', ')}`] : []),
    ...(tags.length > 0 ? [`tags: ${tags.join(', ')}`] : []),
    `created: ${when(agent.created_at)}${agent.last_run_completion ? `, last turn: ${when(agent.last_run_completion)}` : ''}`,
  ]
}

function detailsOf(agent: AgentState): string[] {
  const settings = {
    agent_type: agent.agent_type,
    context_window: agent.llm_config?.context_window,
    embedding: agent.embedding,
    timezone: agent.timezone,
    model_settings: agent.model_settings,
    tool_rules: agent.tool_rules,
    metadata: agent.metadata,
  }
  return [
    `settings: ${JSON.stringify(settings)}`,
    ...agent.tools.map((tool) => `tool ${tool.name ?? 'unnamed'}: ${oneLine(tool.description ?? '', 300)}`),
    `system prompt:\n${agent.system}`,
  ]
}

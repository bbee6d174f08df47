import * as z from 'zod'
import { summaryOf } from '../agent-summary.ts'
import { capped, oneLine } from '../answer.ts'
import type { AgentState } from '../letta.ts'
import { defineTool, READS } from '../tool.ts'
import { approvalNote } from '../turn/reply.ts'
import { pendingCalls } from '../turn/turn.ts'

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
    const { agent, lines } = await summaryOf(client, found.id, { signal })
    const pending = agent.pending_approval && pendingCalls(agent.pending_approval)
    if (pending && pending.length > 0)
      lines.push(approvalNote(pending, { name: agent.name, pinned: call.settings.agent !== null }))
    if (detail === 'full') lines.push(...detailsOf(agent))
    return capped(lines.join('\n'), () => 'Read its blocks one by one with memory_read.')
  },
})

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

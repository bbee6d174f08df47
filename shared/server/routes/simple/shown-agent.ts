import * as z from 'zod'
import type { Agent } from '../../../schema/agent.ts'
import { MAX_NAME } from '../../../schema/names.ts'
import type { SimpleAgent } from '../../../schema/simple.ts'

/** What an agent of the simple API is shown with. */
export const SHOWN = ['agent.blocks', 'agent.tools', 'agent.tags'] as const

/** The path of one agent: its id, or its name. */
export const agentParams = z.object({ agent: z.string().min(1).max(MAX_NAME) })

/** The agent as the simple API shows it. */
export function toSimpleAgent(agent: Agent): SimpleAgent {
  const { id, name, description, model, blocks, tools, tags, metadata, created_at, updated_at } = agent
  const valueOf = (label: string) => blocks.find((block) => block.label === label)?.value ?? null
  return {
    id,
    name,
    description,
    model,
    persona: valueOf('persona'),
    human: valueOf('human'),
    memory_blocks: blocks.map((block) => ({ id: block.id, label: block.label, value: block.value })),
    tools: tools.map((tool) => tool.name),
    tags,
    metadata,
    created_at,
    updated_at,
  }
}

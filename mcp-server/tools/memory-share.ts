import * as z from 'zod'
import { blockOf } from '../memory.ts'
import { defineTool } from '../tool.ts'

export const memoryShare = defineTool(
  {
    name: 'memory_share',
    title: 'Share memory',
    description: 'Gives another agent a memory block of an agent: both then read and write the same one.',
    about: 'agent',
    input: {
      label: z.string().min(1),
      with_agent: z.string().min(1).describe('Name or id of the other agent'),
    },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    async run({ label, with_agent }, call) {
      const { client, signal } = call
      const [agent, other] = [await call.agent(), await client.findAgent(with_agent, { signal })]
      const { items } = await client.letta.agents.blocks.list(agent.id, { limit: 100 }, { signal })
      const { id } = blockOf(agent, items, label)
      await client.letta.agents.blocks.attach(id, { agent_id: other.id }, { signal })
      return `${agent.name} and ${other.name} share the block '${label}' now.`
    },
  },
  'admin',
)

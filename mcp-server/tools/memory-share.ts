import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { readLabelled } from '../memory.ts'
import { defineTool } from '../tool.ts'

export const memoryShare = defineTool(
  {
    name: 'memory_share',
    title: 'Share memory',
    description: 'Gives another agent a memory block of an agent: both then read and write the same one.',
    about: 'agents',
    input: {
      agent: z.string().min(1).describe('Agent name or id'),
      label: z.string().min(1),
      with_agent: z.string().min(1).describe('Name or id of the other agent'),
      replace: z
        .boolean()
        .default(false)
        .describe('Take its own block of that label from the other agent first'),
    },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    async run({ agent: named, label, with_agent, replace }, { client, signal }) {
      const agent = await client.findAgent(named, { signal })
      const other = await client.findAgent(with_agent, { signal })
      const { blocks } = client.letta.agents
      const { id } = await readLabelled(client, agent, label, { signal })
      const to = { agent_id: other.id }
      const shared = `${agent.name} and ${other.name} share the block '${label}' now.`
      const { items } = await blocks.list(other.id, { limit: 100 }, { signal })
      if (items.some((block) => block.id === id)) return shared
      const own = items.find((block) => block.label === label)
      if (!own) {
        await blocks.attach(id, to, { signal })
        return shared
      }
      if (!replace)
        throw new AppError(
          'conflict',
          `${other.name} has a block '${label}' of its own. With replace: true it gets that of ${agent.name} instead; ` +
            `its own (${own.id}, ${own.value.length} characters) is kept without an agent.`,
        )
      await blocks.detach(own.id, to, { signal })
      try {
        await blocks.attach(id, to, { signal })
      } catch (error) {
        await blocks.attach(own.id, to)
        throw error
      }
      return `${shared} What ${other.name} had there is kept as ${own.id}.`
    },
  },
  'admin',
)

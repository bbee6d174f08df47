import * as z from 'zod'
import { defineTool } from '../tool.ts'
import { findTool } from './tool-find.ts'

export const toolAttach = defineTool(
  {
    name: 'tool_attach',
    title: 'Give an agent a tool',
    description: 'Gives an agent a tool, or takes it away.',
    about: 'agent',
    input: {
      tool: z.string().min(1).describe('Tool name or id'),
      detach: z.boolean().default(false),
    },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    async run({ tool, detach }, call) {
      const { client, signal } = call
      const agent = await call.agent()
      const { id, name } = await findTool(client, tool, signal)
      const of = { agent_id: agent.id }
      if (detach) await client.letta.agents.tools.detach(id, of, { signal })
      else await client.letta.agents.tools.attach(id, of, { signal })
      return detach
        ? `${agent.name} has ${name} no more.`
        : `${agent.name} can use ${name} from its next turn on.`
    },
  },
  'authoring',
)

import * as z from 'zod'
import { defineTool } from '../tool.ts'

export const archivalDelete = defineTool(
  {
    name: 'archival_delete',
    title: 'Delete from archival memory',
    description: 'Deletes a passage of an agent, for good; archival_search with detail "full" tells its id.',
    about: 'agent',
    input: { passage_id: z.string().min(1) },
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    async run({ passage_id }, call) {
      const { client, signal } = call
      const agent = await call.agent()
      await client.letta.agents.passages.delete(passage_id, { agent_id: agent.id }, { signal })
      return `Deleted ${passage_id} of ${agent.name}.`
    },
  },
  'admin',
)

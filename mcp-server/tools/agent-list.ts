import * as z from 'zod'
import { capped, oneLine, pageOf } from '../answer.ts'
import { defineTool, READS } from '../tool.ts'

export const agentList = defineTool({
  name: 'agent_list',
  title: 'List agents',
  description: 'Lists the agents there are, newest first. Other tools take the name or the id.',
  about: 'agents',
  input: {
    query: z.string().optional().describe('Only agents whose name contains this'),
    limit: z.int().min(1).max(100).default(20),
    cursor: z.string().optional().describe('From the last answer'),
  },
  output: z.object({
    agents: z.array(
      z.object({ name: z.string(), id: z.string(), model: z.string(), description: z.string() }),
    ),
    cursor: z.string().nullable(),
  }),
  annotations: READS,
  async run({ query, limit, cursor }, { client, signal }) {
    const { items } = await client.letta.agents.list(
      {
        // One more than asked for: that is how the end is known.
        limit: limit + 1,
        order: 'desc',
        ...(query ? { query_text: query } : {}),
        ...(cursor ? { after: cursor } : {}),
      },
      { signal },
    )
    const { page, more } = pageOf(items, limit)
    const agents = page.map(({ name, id, model, llm_config, description }) => ({
      name,
      id,
      model: model ?? llm_config?.handle ?? llm_config?.model ?? '',
      description: oneLine(description ?? ''),
    }))
    const next = more ? (agents.at(-1)?.id ?? null) : null
    const lines = agents.map(({ name, id, model, description }) =>
      [`- ${name} (${id})`, model, description].filter(Boolean).join(' · '),
    )
    if (next !== null) lines.push(`More: call agent_list with cursor: "${next}".`)
    if (agents.length === 0) lines.push(nothing(query, cursor))
    return {
      text: capped(lines.join('\n'), () => 'Call agent_list with a smaller limit or a query.'),
      structured: { agents, cursor: next },
    }
  },
})

function nothing(query: string | undefined, cursor: string | undefined): string {
  if (cursor) return 'No more agents.'
  if (query) return `No agent has '${query}' in its name. Call agent_list without query to see all.`
  return 'There are no agents yet. Create one with agent_create.'
}

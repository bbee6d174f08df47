import * as z from 'zod'
import { capped, defineTool } from '../tool.ts'

export const agentList = defineTool({
  name: 'agent_list',
  title: 'List agents',
  description:
    'Lists the stateful agents there are, newest first: name, id, model and description. Other tools take either the name or the id.',
  input: z.strictObject({
    query: z.string().optional().describe('Only agents whose name contains this, in any case'),
    limit: z.int().min(1).max(100).default(20).describe('How many at most'),
    after: z.string().optional().describe('Id of the last agent seen, for the next page'),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run({ query, limit, after }, { client, signal }) {
    const page = await client.letta.agents.list(
      {
        // One more than asked for: that is how the end is known.
        limit: limit + 1,
        order: 'desc',
        ...(query ? { query_text: query } : {}),
        ...(after ? { after } : {}),
      },
      { signal },
    )
    const agents = page.items.slice(0, limit)
    const last = agents.at(-1)
    if (!last) {
      if (after) return 'No more agents.'
      return query
        ? `No agent has '${query}' in its name. Call agent_list without query to see all.`
        : 'There are no agents yet. Create one in VS Code (Loci: New Agent), with `loci chat NAME --create`, or with POST /v1/agents/.'
    }
    const lines = agents.map(({ name, id, model, llm_config, description }) => {
      const parts = [model ?? llm_config?.handle ?? llm_config?.model, oneLine(description ?? '')]
      return [`- ${name} (${id})`, ...parts.filter(Boolean)].join(' · ')
    })
    if (page.items.length > limit) lines.push(`More: call agent_list with after: "${last.id}".`)
    return capped(lines.join('\n'), () => 'Call agent_list with a smaller limit or a query.')
  },
})

function oneLine(text: string): string {
  const flat = text.replace(/\s+/g, ' ').trim()
  return flat.length > 160 ? `${flat.slice(0, 159)}…` : flat
}

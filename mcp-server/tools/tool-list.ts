import * as z from 'zod'
import { capped, oneLine, pageOf } from '../answer.ts'
import { defineTool, READS } from '../tool.ts'

export const toolList = defineTool(
  {
    name: 'tool_list',
    title: 'List tools',
    description: 'Lists the tools that agents can have, newest first.',
    about: 'agents',
    input: {
      query: z.string().optional().describe('Only tools whose name contains this'),
      own: z.boolean().default(false).describe('Only those made from source, none built in'),
      limit: z.int().min(1).max(100).default(30),
      cursor: z.string().optional(),
    },
    annotations: READS,
    async run({ query, own, limit, cursor }, { client, signal }) {
      const { items } = await client.letta.tools.list(
        {
          limit: limit + 1,
          order: 'desc',
          ...(query ? { search: query } : {}),
          ...(own ? { tool_types: ['custom'] } : {}),
          ...(cursor ? { after: cursor } : {}),
        },
        { signal },
      )
      const { page, more } = pageOf(items, limit)
      if (page.length === 0)
        return cursor ? 'No more tools.' : 'No such tool. tool_upsert makes one from source.'
      const lines = page.map(({ name, tool_type, description }) =>
        [`- ${name ?? 'unnamed'}`, tool_type, oneLine(description ?? '')].filter(Boolean).join(' · '),
      )
      if (more) lines.push(`More: call tool_list with cursor: "${page.at(-1)?.id}".`)
      return capped(lines.join('\n'), () => 'Call tool_list with a smaller limit.')
    },
  },
  'authoring',
)

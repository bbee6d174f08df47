import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import type { fileSearchResult } from '../../shared/schema/folder.ts'
import { capped, offsetOf, oneLine, pageOf } from '../answer.ts'
import { defineTool, READS, type ToolCall } from '../tool.ts'

/** Characters of a part of a file in a concise answer. */
const SNIPPET = 500

export const fileSearch = defineTool({
  name: 'file_search',
  title: 'Search files',
  description: "Finds parts of an agent's files. Without query: lists the files.",
  about: 'agent',
  input: {
    query: z.string().optional(),
    limit: z.int().min(1).max(50).default(10),
    cursor: z.string().optional(),
    detail: z.enum(['concise', 'full']).default('concise').describe('full: whole parts'),
  },
  annotations: READS,
  async run({ query, limit, cursor, detail }, call) {
    const { client, signal } = call
    const agent = await call.agent()
    const asked = query?.trim() ?? ''
    if (asked === '') {
      const { files } = await client.letta.agents.files.list(
        agent.id,
        { limit: limit + 1, ...(cursor ? { after: cursor } : {}) },
        { signal },
      )
      const { page, more } = pageOf(files, limit)
      if (page.length === 0)
        return cursor ? 'No more files.' : `${agent.name} has no files. file_attach gives it one.`
      const lines = page.map(
        ({ file_name, file_id }) => `- ${file_name} (agent://${agent.id}/files/${file_id})`,
      )
      if (more) lines.push(`More: call file_search again with cursor: "${page.at(-1)?.id}".`)
      return lines.join('\n')
    }
    const skipped = offsetOf(cursor)
    const found = await search(call, agent.id, { query: asked, limit: skipped + limit + 1 })
    const { page, more } = pageOf(found.slice(skipped), limit)
    if (page.length === 0)
      return cursor ? 'No more matches.' : `Nothing like that is in the files of ${agent.name}.`
    const lines = page.map(
      ({ file_name, start_line, end_line, text }) =>
        `- ${file_name}, lines ${start_line}–${end_line}: ${detail === 'full' ? `\n${text}` : oneLine(text, SNIPPET)}`,
    )
    if (more) lines.push(`More: call file_search again with cursor: "${skipped + limit}".`)
    return capped(lines.join('\n'), () => 'Call file_search with a smaller limit.')
  },
})

/** Best first. Throws `not_implemented` where the server is a Letta V1 server, which has no such search. */
async function search(
  { client, signal }: ToolCall,
  agent_id: string,
  query: { query: string; limit: number },
): Promise<z.output<typeof fileSearchResult>[]> {
  // Schemas take a while to be made: that is left for after the first answer.
  const [{ fileSearchResult: result }, { refusalOf }] = await Promise.all([
    import('../../shared/schema/folder.ts'),
    import('../../shared/client/http.ts'),
  ])
  try {
    return z
      .array(result)
      .parse(await client.letta.get(`/v1/agents/${agent_id}/files/search`, { query, signal }))
  } catch (cause) {
    if (refusalOf(cause)?.status !== 404) throw cause
    throw new AppError(
      'not_implemented',
      `The server at ${client.url} has no search of files. Without query their list is answered.`,
      { cause },
    )
  }
}

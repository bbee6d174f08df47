import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { capped, offsetOf, oneLine, pageOf, when } from '../answer.ts'
import { defineTool, READS } from '../tool.ts'

/** Characters of a passage in a concise answer. */
const SNIPPET = 400

export const archivalSearch = defineTool({
  name: 'archival_search',
  title: 'Search archival memory',
  description: 'Finds passages of an agent, by meaning and words. Without query: the newest.',
  about: 'agent',
  input: {
    query: z.string().optional(),
    tags: z.array(z.string()).optional().describe('With query: only with one of these'),
    limit: z.int().min(1).max(50).default(10),
    cursor: z.string().optional(),
    detail: z.enum(['concise', 'full']).default('concise').describe('full: whole passages'),
  },
  annotations: READS,
  async run({ query, tags, limit, cursor, detail }, call) {
    const { client, signal } = call
    const agent = await call.agent()
    const asked = query?.trim() ?? ''
    if (asked === '' && tags)
      throw new AppError('invalid_argument', 'tags need a query: only what is searched for is filtered.')
    const skipped = asked === '' ? 0 : offsetOf(cursor)
    const found =
      asked === ''
        ? (
            await client.letta.agents.passages.list(
              agent.id,
              { limit: limit + 1, ascending: false, ...(cursor ? { after: cursor } : {}) },
              { signal },
            )
          ).map(({ id, text, tags: own, created_at }) => ({
            id: id ?? '',
            text,
            tags: own ?? [],
            at: created_at,
          }))
        : (
            await client.letta.agents.passages.search(
              agent.id,
              { query: asked, top_k: skipped + limit + 1, ...(tags ? { tags } : {}) },
              { signal },
            )
          ).results
            .slice(skipped)
            .map(({ id, content, tags: own, timestamp }) => ({
              id,
              text: content,
              tags: own ?? [],
              at: timestamp,
            }))
    const { page, more } = pageOf(found, limit)
    if (page.length === 0) {
      if (cursor) return 'No more passages.'
      return asked === ''
        ? `${agent.name} has no passages. archival_insert adds one.`
        : `${agent.name} has no passage like that. Try other words, or conversation_search for what was said.`
    }
    const lines = page.map(({ id, text, tags: own, at }) => {
      const labels = own.length > 0 ? ` [${own.join(', ')}]` : ''
      const shown = detail === 'full' ? `(${id}) ${text}` : oneLine(text, SNIPPET)
      return `- ${when(at)}${labels} ${shown}`
    })
    const next = asked === '' ? page.at(-1)?.id : String(skipped + limit)
    if (more) lines.push(`More: call archival_search again with cursor: "${next}".`)
    return capped(lines.join('\n'), () => 'Call archival_search with a smaller limit.')
  },
})

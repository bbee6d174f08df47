import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { capped, offsetOf, oneLine, pageOf, textOf, when } from '../answer.ts'
import { defineTool, READS } from '../tool.ts'
import { conversationOf } from '../turn/target.ts'

/** Characters of a message in a concise answer. */
const SNIPPET = 400

export const conversationSearch = defineTool({
  name: 'conversation_search',
  title: 'Search the history',
  description: "Finds what was said in an agent's conversations. Without query: the latest messages.",
  about: 'agent',
  input: {
    query: z.string().optional(),
    conversation_id: z.string().optional().describe('Only this one; "default" for the main one'),
    since: z.string().optional().describe('YYYY-MM-DD, with query'),
    until: z.string().optional(),
    limit: z.int().min(1).max(50).default(10),
    cursor: z.string().optional(),
    detail: z.enum(['concise', 'full']).default('concise').describe('full: whole messages'),
  },
  annotations: READS,
  async run({ query, conversation_id, since, until, limit, cursor, detail }, call) {
    const { client, signal } = call
    for (const [key, day] of Object.entries({ since, until }))
      if (day !== undefined && Number.isNaN(Date.parse(day)))
        throw new AppError(
          'invalid_argument',
          `${key} is '${day}', which is no date: write it like 2026-05-31.`,
        )
    if ((since ?? until) !== undefined && !query?.trim())
      throw new AppError('invalid_argument', 'since and until need a query.')
    const agent = await call.agent()
    const named =
      conversation_id === 'new' || conversation_id === undefined
        ? undefined
        : ((await conversationOf(call, agent, conversation_id)) ?? 'default')
    const asked = query?.trim() ?? ''
    const skipped = asked === '' ? 0 : offsetOf(cursor)
    const found: Said[] =
      asked === ''
        ? await latest(call.client, agent.id, named, { limit: limit + 1, cursor }, signal)
        : (
            await client.letta.messages.search(
              {
                query: asked,
                agent_id: agent.id,
                limit: Math.min(100, skipped + limit + 1),
                ...(named === undefined ? {} : { conversation_id: named }),
                ...(since ? { start_date: since } : {}),
                ...(until ? { end_date: until } : {}),
              },
              { signal },
            )
          )
            .slice(skipped)
            .map((one) => ({
              id: one.message_id,
              who: one.message_type === 'user_message' ? 'user' : agent.name,
              at: one.created_at,
              text: 'content' in one ? textOf(one.content) : '',
              conversation_id: one.conversation_id ?? null,
            }))
    const { page, more } = pageOf(found, limit)
    if (page.length === 0) {
      if (cursor) return 'No more messages.'
      return asked === ''
        ? `Nothing was said to ${agent.name} yet.`
        : `Nothing like that was said to ${agent.name}. Try other words, or archival_search for its notes.`
    }
    const lines = page.map(({ who, at, text, conversation_id: of }) => {
      const where = of === null || named !== undefined ? '' : ` (${of})`
      return `- ${when(at)} ${who}${where}: ${detail === 'full' ? text : oneLine(text, SNIPPET)}`
    })
    const next = asked === '' ? page.at(-1)?.id : String(skipped + limit)
    if (more) lines.push(`More: call conversation_search again with cursor: "${next}".`)
    return capped(lines.join('\n'), () => 'Call conversation_search with a smaller limit.')
  },
})

interface Said {
  id: string
  who: string
  at: string
  text: string
  conversation_id: string | null
}

/** What was said last, newest first. */
async function latest(
  client: Parameters<typeof conversationOf>[0]['client'],
  agent_id: string,
  conversation_id: string | undefined,
  { limit, cursor }: { limit: number; cursor: string | undefined },
  signal: AbortSignal,
): Promise<Said[]> {
  const query = {
    limit,
    order: 'desc' as const,
    include_return_message_types: ['user_message' as const, 'assistant_message' as const],
    ...(cursor ? { before: cursor } : {}),
  }
  const { items } =
    conversation_id === undefined
      ? await client.letta.agents.messages.list(agent_id, query, { signal })
      : await client.letta.conversations.messages.list(conversation_id, { ...query, agent_id }, { signal })
  return items.flatMap((one) =>
    one.message_type === 'user_message' || one.message_type === 'assistant_message'
      ? [
          {
            id: one.id,
            who: one.message_type === 'user_message' ? 'user' : 'agent',
            at: one.date,
            text: textOf(one.content),
            conversation_id: null,
          },
        ]
      : [],
  )
}

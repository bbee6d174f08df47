import * as z from 'zod'
import { capped, oneLine, pageOf, when } from '../answer.ts'
import { defineTool, READS } from '../tool.ts'

export const conversationList = defineTool({
  name: 'conversation_list',
  title: 'List conversations',
  description: "Lists an agent's conversations, newest first. They share its memory, not their messages.",
  about: 'agent',
  input: { limit: z.int().min(1).max(100).default(20), cursor: z.string().optional() },
  annotations: READS,
  async run({ limit, cursor }, call) {
    const { client, signal } = call
    const agent = await call.agent()
    const listed = await client.letta.conversations.list(
      { agent_id: agent.id, limit: limit + 1, order: 'desc', ...(cursor ? { after: cursor } : {}) },
      { signal },
    )
    const { page, more } = pageOf(listed, limit)
    const lines = page.map(({ id, summary, last_message_at, created_at }) =>
      [`- ${id}`, when(last_message_at ?? created_at), oneLine(summary ?? '')].filter(Boolean).join(' · '),
    )
    if (!cursor) lines.unshift('- default · the main one')
    if (more) lines.push(`More: call conversation_list with cursor: "${page.at(-1)?.id}".`)
    if (lines.length === 0) return 'No more conversations.'
    return capped(lines.join('\n'), () => 'Call conversation_list with a smaller limit.')
  },
})

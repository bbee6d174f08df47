import * as z from 'zod'
import { createConversation } from '../../../core/conversations.ts'
import { conversation, createConversation as createBody } from '../../../schema/conversation.ts'
import { MESSAGE_TYPES } from '../../../schema/message.ts'
import { order } from '../../../schema/page.ts'
import { simpleMessageItem } from '../../../schema/simple.ts'
import { eitherSpelling } from '../../../schema/spelling.ts'
import { notFound } from '../../errors.ts'
import { listShown } from '../../letta-messages.ts'
import { route, type Route } from '../../route.ts'
import { agentOf } from '../../agent-of.ts'
import { agentParams } from './shown-agent.ts'
import { conversationId } from '../../conversation-id.ts'
import { withRole } from './roles.ts'

/** What of a conversation is shown: all but the system's instructions. */
const SHOWN = MESSAGE_TYPES.filter((type) => type !== 'system_message')

const limit = (fallback: number) => z.coerce.number().int().min(1).max(1000).default(fallback)

export const routes: Route[] = [
  route({
    method: 'GET',
    path: '/agents/:agent/conversations',
    operation: 'simple_list_conversations',
    summary: "List an agent's conversations: its default one, then the others, newest first",
    params: agentParams,
    query: z.object({ limit: limit(100), after: z.string().optional() }),
    answer: z.array(conversation),
    async handle({ actor, context, params, query }) {
      const { id: agent_id } = await agentOf(context, actor, params.agent)
      const { conversations } = context.deps.store
      const isFirst = query.after === undefined
      const after = query.after === agent_id ? undefined : query.after
      const first = isFirst ? await conversations.get(actor, agent_id) : null
      const rest = query.limit - (first ? 1 : 0)
      const page = { after, limit: rest, order: 'desc' as const }
      const others = rest > 0 ? await conversations.list(actor, { agent_id }, page) : []
      return first ? [first, ...others] : others
    },
  }),
  route({
    method: 'POST',
    path: '/agents/:agent/conversations',
    operation: 'simple_create_conversation',
    summary: 'Begin a conversation with an agent',
    params: agentParams,
    body: eitherSpelling(createBody),
    optional_body: true,
    answer: conversation,
    async handle({ actor, context, params, body }) {
      const { id } = await agentOf(context, actor, params.agent)
      return createConversation(context.deps, actor, id, body)
    },
  }),
  route({
    method: 'GET',
    path: '/agents/:agent/conversations/:conversation',
    operation: 'simple_retrieve_conversation',
    summary: 'Read a conversation of an agent; `default` is its default one',
    params: agentParams.extend({ conversation: z.string() }),
    answer: conversation,
    async handle({ actor, context, params }) {
      const { id } = await agentOf(context, actor, params.agent)
      const conversation_id = await conversationId(context, actor, id, params.conversation)
      const found = await context.deps.store.conversations.get(actor, conversation_id)
      if (!found) throw notFound('Conversation', params.conversation)
      return found
    },
  }),
  route({
    method: 'GET',
    path: '/agents/:agent/conversations/:conversation/messages',
    operation: 'simple_list_conversation_messages',
    summary:
      'The newest messages of a conversation, in the order in which they came; `before` one for older, `after` one for newer',
    params: agentParams.extend({ conversation: z.string() }),
    query: z.object({
      limit: limit(100),
      before: z.string().optional(),
      after: z.string().optional(),
      order: order.default('asc'),
    }),
    answer: z.array(simpleMessageItem),
    async handle({ actor, context, params, query }) {
      const { id: agent_id } = await agentOf(context, actor, params.agent)
      const conversation_id = await conversationId(context, actor, agent_id, params.conversation)
      const { after, before } = query
      // What is asked for without a place is what was said last.
      const upward = after !== undefined
      const page = { after, before, limit: query.limit, order: upward ? ('asc' as const) : ('desc' as const) }
      const found = await listShown(
        (at, roles) => context.deps.store.messages.list(actor, { agent_id, conversation_id, roles }, at),
        page,
        { types: SHOWN },
      )
      return (query.order === page.order ? found : found.toReversed()).map(withRole)
    },
  }),
]

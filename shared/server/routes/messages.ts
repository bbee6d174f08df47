import * as z from 'zod'
import { idSchema } from '../../schema/ids.ts'
import { lettaMessage, messageType } from '../../schema/message.ts'
import { listOf, pageQuery } from '../../schema/page.ts'
import { notFound } from '../errors.ts'
import { listMessages, listShown } from '../letta-messages.ts'
import { route } from '../route.ts'
import { routes as batchRoutes } from './batches.ts'
import { routes as searchRoutes } from './message-search.ts'

export const routes = [
  ...searchRoutes,
  ...batchRoutes,
  route({
    method: 'GET',
    path: '/v1/messages',
    operation: 'list_all_messages',
    summary: 'List the messages of all agents; `after` is newer and `before` older, whatever the order',
    query: z.object({
      conversation_id: z.string().optional(),
      include_return_message_types: listOf(messageType),
      ...pageQuery({ limit: 100, order: 'desc' }),
    }),
    answer: z.array(lettaMessage),
    handle: async ({ actor, context, query }) =>
      listShown(
        (page, roles) =>
          context.deps.store.messages.list(actor, { conversation_id: query.conversation_id, roles }, page),
        query,
        { types: query.include_return_message_types },
      ),
  }),
  route({
    method: 'GET',
    path: '/v1/messages/:message_id',
    operation: 'retrieve_message',
    summary: 'Read a message: one stored message is several of the API, reasoning, text and tool calls',
    params: z.object({ message_id: idSchema('message') }),
    answer: z.array(lettaMessage),
    async handle({ actor, context, params: { message_id } }) {
      const filter = { ids: [message_id], include_err: true }
      const found = await context.deps.store.messages.list(actor, filter, { limit: 1, order: 'asc' })
      if (found.length === 0) throw notFound('Message', message_id)
      return listMessages(found, { order: 'asc' })
    },
  }),
]

import * as z from 'zod'
import { createConversation, forkConversation, updateConversation } from '../../core/conversations.ts'
import { recompilePrompt, resetMessages } from '../../core/recompile.ts'
import {
  conversation,
  conversationRef,
  createConversation as createBody,
  defaultOf,
  rewound,
  updateConversation as updateBody,
} from '../../schema/conversation.ts'
import { AppError, isAppError } from '../../schema/errors.ts'
import { idSchema } from '../../schema/ids.ts'
import { pageQuery, queryBoolean } from '../../schema/page.ts'
import { cancelRuns } from '../cancel.ts'
import { conversationOf } from '../conversation-of.ts'
import { asAgentNotFound, notFound } from '../errors.ts'
import { route } from '../route.ts'
import { conversationRoutes as compactionRoutes } from './compactions.ts'
import { routes as messageRoutes } from './conversation-messages.ts'
import { conversationStreamRoutes } from './run-stream.ts'

const params = z.object({ conversation_id: conversationRef })
const ofAgent = z.object({ agent_id: idSchema('agent').optional() })

export const routes = [
  ...conversationStreamRoutes,
  route({
    method: 'POST',
    path: '/v1/conversations',
    operation: 'create_conversation',
    summary: 'Begin a conversation of an agent',
    scoped: { right: 'write_messages', fields: ['summary', 'isolated_block_labels'] },
    query: z.object({ agent_id: idSchema('agent') }),
    body: createBody,
    optional_body: true,
    answer: conversation,
    handle: async ({ actor, context, query, body }) =>
      createConversation(context.deps, actor, query.agent_id, body).catch(asAgentNotFound(query.agent_id)),
  }),
  route({
    method: 'GET',
    path: '/v1/conversations',
    operation: 'list_conversations',
    summary: 'List conversations, without the default one of each agent',
    scoped: { right: 'read_messages' },
    query: z.object({
      ...pageQuery({ limit: 50, order: 'desc' }),
      agent_id: idSchema('agent').optional(),
      summary_search: z.string().optional(),
      order_by: z.enum(['created_at', 'last_run_completion', 'last_message_at']).default('created_at'),
    }),
    answer: z.array(conversation),
    handle: async ({ actor, context, query }) => context.deps.store.conversations.list(actor, query, query),
  }),
  route({
    method: 'GET',
    path: '/v1/conversations/:conversation_id',
    operation: 'retrieve_conversation',
    summary: 'Read a conversation',
    scoped: { right: 'read_messages', of: 'conversation' },
    params,
    query: ofAgent,
    answer: conversation,
    handle: async ({ actor, context, params, query }) =>
      (await conversationOf(context, actor, params.conversation_id, query.agent_id)).conversation,
  }),
  route({
    method: 'PATCH',
    path: '/v1/conversations/:conversation_id',
    operation: 'update_conversation',
    summary: 'Change a conversation: its summary, model or model settings',
    scoped: { right: 'write_messages', of: 'conversation', fields: ['summary'] },
    params,
    query: ofAgent,
    body: updateBody,
    answer: conversation,
    async handle({ actor, context, params, query, body }) {
      const { target } = await conversationOf(context, actor, params.conversation_id, query.agent_id)
      const changed = await updateConversation(context.deps, actor, target.conversation_id, body)
      if (!changed) throw notFound('Conversation', target.conversation_id)
      return changed
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/conversations/:conversation_id',
    operation: 'delete_conversation',
    summary: 'Delete a conversation; its messages and runs stay with the agent',
    scoped: { right: 'write_messages', of: 'conversation' },
    params,
    query: ofAgent,
    answer: z.null(),
    async handle({ actor, context, params, query }) {
      const { target } = await conversationOf(context, actor, params.conversation_id, query.agent_id)
      if (target.conversation_id === target.agent_id)
        throw new AppError(
          'invalid_argument',
          'the default conversation of an agent cannot be deleted; reset its messages, or delete the agent',
        )
      const deleted = await context.deps.store.conversations.delete(actor, target.conversation_id)
      if (!deleted) throw notFound('Conversation', target.conversation_id)
      // Nobody will read what it would still say.
      const running = await context.deps.store.turns.listRuns(
        actor,
        { ...target, statuses: ['created', 'running'] },
        { limit: 10, order: 'desc' },
      )
      const run_ids = running.map((run) => run.id)
      if (run_ids.length > 0)
        await cancelRuns(context, actor, { ...target, run_ids }).catch((error: unknown) => {
          // It has ended in the meantime.
          if (!isAppError(error, 'conflict') && !isAppError(error, 'not_found')) throw error
        })
      return null
    },
  }),
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/fork',
    operation: 'fork_conversation',
    summary: 'A new conversation that shares the messages of this one, up to a message when one is named',
    params,
    query: ofAgent.extend({
      message_id: idSchema('message').optional(),
      hidden: queryBoolean.optional(),
    }),
    body: z.object({ message_id: idSchema('message').nullish(), agent_id: defaultOf }),
    optional_body: true,
    answer: conversation,
    async handle({ actor, context, params, query, body }) {
      const agent_id = body.agent_id ?? query.agent_id
      const { target } = await conversationOf(context, actor, params.conversation_id, agent_id)
      return forkConversation(context.deps, actor, target, {
        message_id: query.message_id ?? body.message_id ?? null,
        hidden: query.hidden ?? false,
      })
    },
  }),
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/rewind',
    summary:
      'Go back (or forward again) to a message: it is the last one in context then; nothing is deleted',
    params,
    query: ofAgent,
    body: z.object({ message_id: idSchema('message'), agent_id: defaultOf }),
    answer: rewound,
    async handle({ actor, context, params, query, body }) {
      const agent_id = body.agent_id ?? query.agent_id
      const { target } = await conversationOf(context, actor, params.conversation_id, agent_id)
      return context.deps.store.conversations.rewind(actor, target.conversation_id, body.message_id)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/reset',
    summary: 'Delete the messages of a conversation and begin with a fresh system message',
    params,
    query: ofAgent,
    body: z.object({ agent_id: defaultOf }),
    optional_body: true,
    answer: conversation,
    async handle({ actor, context, params, query, body }) {
      const agent_id = body.agent_id ?? query.agent_id
      const { target } = await conversationOf(context, actor, params.conversation_id, agent_id)
      await resetMessages(context.deps, actor, target)
      const reset = await context.deps.store.conversations.get(actor, target.conversation_id)
      if (!reset) throw notFound('Conversation', target.conversation_id)
      return reset
    },
  }),
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/cancel',
    operation: 'cancel_conversation',
    summary: "Cancel a conversation's turn, in whichever process it runs",
    scoped: { right: 'write_messages', of: 'conversation', fields: ['agent_id'] },
    params,
    query: ofAgent,
    body: z.object({ agent_id: defaultOf }),
    optional_body: true,
    answer: z.record(z.string(), z.enum(['cancelled', 'failed'])),
    async handle({ actor, context, params, query, body }) {
      const agent_id = body.agent_id ?? query.agent_id
      const { target } = await conversationOf(context, actor, params.conversation_id, agent_id)
      return cancelRuns(context, actor, { ...target, run_ids: null })
    },
  }),
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/recompile',
    operation: 'recompile_conversation',
    summary: 'Compile the system message of a conversation again',
    params,
    query: ofAgent.extend({
      dry_run: queryBoolean.default(false),
      update_timestamp: queryBoolean.default(false),
    }),
    body: z.object({ agent_id: defaultOf }),
    optional_body: true,
    answer: z.string(),
    async handle({ actor, context, params, query, body }) {
      const agent_id = body.agent_id ?? query.agent_id
      const { target } = await conversationOf(context, actor, params.conversation_id, agent_id)
      return recompilePrompt(context.deps, actor, target, query)
    },
  }),
  ...messageRoutes,
  ...compactionRoutes,
]

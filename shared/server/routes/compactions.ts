import * as z from 'zod'
import { compactConversation } from '../../core/context/compact-now.ts'
import { contextOverview } from '../../core/context/overview.ts'
import {
  type Compaction,
  compaction,
  compactionDetail,
  compactionRequest,
  compactionResponse,
  contextWindowOverview,
} from '../../schema/compaction.ts'
import { conversationRef, defaultOf } from '../../schema/conversation.ts'
import { idSchema } from '../../schema/ids.ts'
import { pageQuery } from '../../schema/page.ts'
import { conversationOf } from '../conversation-of.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const params = z.object({ agent_id: idSchema('agent') })
const inConversation = z.object({ conversation_id: conversationRef })
const ofAgent = z.object({ agent_id: idSchema('agent').optional() })
const records = pageQuery({ limit: 50, order: 'desc' })

/** What fills an agent's context, making it shorter, and what that did (`/v1/agents/…`). */
export const agentRoutes = [
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/context',
    operation: 'retrieve_agent_context_window',
    summary: 'What fills the context window of an agent, or of one of its conversations',
    params,
    query: z.object({ conversation_id: conversationRef.optional() }),
    answer: contextWindowOverview,
    async handle({ actor, context, params, query }) {
      const name = query.conversation_id ?? 'default'
      const { target } = await conversationOf(context, actor, name, params.agent_id)
      return contextOverview(context.deps, actor, target)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/summarize',
    operation: 'summarize_messages',
    summary: "Compact an agent's default conversation now; 400 when nothing would become shorter",
    params,
    body: compactionRequest,
    optional_body: true,
    answer: compactionResponse,
    async handle({ actor, context, params, body, request }) {
      const { target } = await conversationOf(context, actor, 'default', params.agent_id)
      const { compaction_settings: settings } = body
      return compactConversation(context.deps, actor, target, settings ?? null, { signal: request.signal })
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/compactions',
    summary: "The record of every compaction of an agent's conversations, or of one of them",
    params,
    query: z.object({ ...records, conversation_id: conversationRef.optional() }),
    answer: z.array(compaction),
    async handle({ actor, context, params, query }) {
      const { agent_id } = params
      const name = query.conversation_id ?? 'default'
      const { target } = await conversationOf(context, actor, name, agent_id)
      const filter = query.conversation_id === undefined ? { agent_id } : target
      return (await context.deps.store.compactions.list(actor, filter, query)).map(shown)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/compactions/:compaction_id',
    summary: 'One compaction, with the ids of the messages that left the context',
    params: params.extend({ compaction_id: z.string() }),
    answer: compactionDetail,
    async handle({ actor, context, params }) {
      const found = await context.deps.store.compactions.get(actor, params.compaction_id)
      if (found?.agent_id !== params.agent_id) throw notFound('Compaction', params.compaction_id)
      return shown(found)
    },
  }),
]

/** The same for one conversation (`/v1/conversations/…`). */
export const conversationRoutes = [
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/compact',
    operation: 'compact_conversation',
    summary: 'Compact a conversation now; 400 when nothing would become shorter',
    params: inConversation,
    query: ofAgent,
    body: compactionRequest.extend({ agent_id: defaultOf }),
    optional_body: true,
    answer: compactionResponse,
    async handle({ actor, context, params, query, body, request }) {
      const agent_id = body.agent_id ?? query.agent_id
      const { target } = await conversationOf(context, actor, params.conversation_id, agent_id)
      const { compaction_settings: settings } = body
      return compactConversation(context.deps, actor, target, settings ?? null, { signal: request.signal })
    },
  }),
  route({
    method: 'GET',
    path: '/v1/conversations/:conversation_id/compactions',
    summary: 'The record of every compaction of a conversation',
    params: inConversation,
    query: z.object({ ...records, agent_id: idSchema('agent').optional() }),
    answer: z.array(compaction),
    async handle({ actor, context, params, query }) {
      const { target } = await conversationOf(context, actor, params.conversation_id, query.agent_id)
      return (await context.deps.store.compactions.list(actor, target, query)).map(shown)
    },
  }),
]

/** The default conversation has no id on the wire. */
function shown<T extends Compaction>(record: T): T {
  return record.conversation_id === record.agent_id ? { ...record, conversation_id: null } : record
}

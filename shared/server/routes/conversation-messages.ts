import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { lettaResponseWithAgent } from '../../schema/agent.ts'
import {
  conversationMessageRequest,
  type ConversationMessageRequest,
  conversationRef,
  editRequest,
} from '../../schema/conversation.ts'
import { idSchema } from '../../schema/ids.ts'
import { lettaMessage, type MessageCreate, messageType, type StoredMessage } from '../../schema/message.ts'
import { jsonObject, listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import type { ServerContext } from '../context.ts'
import { conversationOf } from '../conversation-of.ts'
import { notFound } from '../errors.ts'
import { listShown } from '../letta-messages.ts'
import { isInGroup } from '../is-in-group.ts'
import { route } from '../route.ts'
import { MESSAGE_FIELDS } from '../token-scope.ts'
import { answerTurn, previewTurn, streamTurn } from '../turn-response.ts'

const params = z.object({ conversation_id: conversationRef })
const ofAgent = z.object({ agent_id: idSchema('agent').optional() })

/** Messages of conversations; they answer as those of agents do. */
export const routes = [
  route({
    method: 'GET',
    path: '/v1/conversations/:conversation_id/messages',
    operation: 'list_conversation_messages',
    summary: 'List the messages of a conversation; `after` is newer and `before` older, whatever the order',
    scoped: { right: 'read_messages', of: 'conversation' },
    params,
    query: z.object({
      ...pageQuery({ limit: 100, order: 'desc' }),
      agent_id: idSchema('agent').optional(),
      order_by: z.literal('created_at').optional(),
      group_id: z.string().optional(),
      include_err: queryBoolean.optional(),
      include_return_message_types: listOf(messageType),
      /** Only those that the model sees now. */
      in_context: queryBoolean.optional(),
    }),
    answer: z.array(lettaMessage),
    async handle({ actor, context, params, query }) {
      const { target } = await conversationOf(context, actor, params.conversation_id, query.agent_id)
      if (query.group_id !== undefined && !(await isInGroup(context, actor, target.agent_id, query.group_id)))
        return []
      const { include_err, in_context } = query
      return listShown(
        (page, roles) =>
          context.deps.store.messages.list(actor, { ...target, include_err, in_context, roles }, page),
        query,
        { types: query.include_return_message_types },
      )
    },
  }),
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/messages',
    operation: 'send_conversation_message',
    summary: 'Send a message to a conversation; the answer is an event stream unless `streaming` is false',
    scoped: { right: 'write_messages', of: 'conversation', fields: MESSAGE_FIELDS },
    params,
    query: ofAgent,
    body: conversationMessageRequest,
    answer: lettaResponseWithAgent,
    streams: true,
    async handle(input) {
      const turn = await turnOf(input)
      return input.body.streaming ? streamTurn(turn) : answerTurn(turn)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/messages/preview-raw-payload',
    operation: 'preview_conversation_model_request',
    summary: 'The request that a message would send to the model; nothing is stored or sent',
    params,
    query: ofAgent,
    body: conversationMessageRequest,
    answer: jsonObject,
    handle: async (input) => previewTurn(await turnOf(input)),
  }),
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/messages/:message_id/edit-and-resend',
    summary:
      'Send a message of the user in other words, or as it was: the answer takes the place of all that followed it',
    scoped: { right: 'write_messages', of: 'conversation', fields: MESSAGE_FIELDS },
    params: params.extend({ message_id: idSchema('message') }),
    query: ofAgent,
    body: editRequest,
    optional_body: true,
    answer: lettaResponseWithAgent,
    streams: true,
    async handle(input) {
      const { message_id } = input.params
      const { target } = await conversationOf(
        input.context,
        input.actor,
        input.params.conversation_id,
        input.body.agent_id ?? input.query.agent_id,
      )
      const [message] = await input.context.deps.store.messages.list(
        input.actor,
        { ids: [message_id], agent_id: target.agent_id, include_err: true },
        { limit: 1, order: 'asc' },
      )
      if (!message) throw notFound('Message', message_id)
      const body = { ...input.body, ...(isInput(input.body) ? {} : { messages: [sameAgain(message)] }) }
      const turn = { ...(await turnOf({ ...input, body })), edit: { message_id } }
      return body.streaming ? streamTurn(turn) : answerTurn(turn)
    },
  }),
]

function isInput(body: { messages?: unknown; input?: unknown }): boolean {
  return body.messages != null || body.input != null
}

/** A stored message of a user, to be sent once more. */
function sameAgain({ content, name, sender_id }: StoredMessage): MessageCreate {
  const parts = content.filter((part) => part.type === 'text' || part.type === 'image')
  return { role: 'user', content: parts, name, sender_id }
}

async function turnOf(input: {
  actor: Actor
  context: ServerContext
  params: z.output<typeof params>
  query: z.output<typeof ofAgent>
  body: ConversationMessageRequest
  request: Request
}) {
  const { actor, context, params, query, body, request } = input
  const agent_id = body.agent_id ?? query.agent_id
  const { target } = await conversationOf(context, actor, params.conversation_id, agent_id)
  return { actor, context, request, body, ...target }
}

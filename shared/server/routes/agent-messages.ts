import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { lettaResponseWithAgent } from '../../schema/agent.ts'
import { AppError } from '../../schema/errors.ts'
import { idSchema } from '../../schema/ids.ts'
import { asyncRequest, lettaMessage, messageRequest, messageType } from '../../schema/message.ts'
import { jsonObject, listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import { run } from '../../schema/run.ts'
import { cancelRuns } from '../cancel.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { isInGroup } from '../is-in-group.ts'
import { listShown } from '../letta-messages.ts'
import { route } from '../route.ts'
import { MESSAGE_FIELDS } from '../token-scope.ts'
import { answerTurn, previewTurn, startTurn, streamTurn, type TurnRequest } from '../turn-response.ts'

const params = z.object({ agent_id: idSchema('agent') })

export const routes = [
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/messages',
    operation: 'list_messages',
    summary: "List an agent's messages; `after` is newer and `before` older, whatever the order",
    scoped: { right: 'read_messages' },
    params,
    query: z.object({
      ...pageQuery({ limit: 100, order: 'desc' }),
      order_by: z.literal('created_at').optional(),
      conversation_id: z.string().optional(),
      group_id: z.string().optional(),
      include_err: queryBoolean.optional(),
      include_return_message_types: listOf(messageType),
      use_assistant_message: queryBoolean.default(true),
      assistant_message_tool_name: z.string().default('send_message'),
      assistant_message_tool_kwarg: z.string().default('message'),
    }),
    answer: z.array(lettaMessage),
    async handle({ actor, context, params, query }) {
      if (!(await context.deps.store.agents.get(actor, params.agent_id, [])))
        throw notFound('Agent', params.agent_id)
      if (query.group_id !== undefined && !(await isInGroup(context, actor, params.agent_id, query.group_id)))
        return []
      const conversation_id = query.conversation_id === 'default' ? params.agent_id : query.conversation_id
      const filter = { agent_id: params.agent_id, conversation_id, include_err: query.include_err }
      return listShown(
        (page, roles) => context.deps.store.messages.list(actor, { ...filter, roles }, page),
        query,
        { types: query.include_return_message_types, speaking: query },
      )
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages',
    operation: 'send_message',
    summary: 'Send a message; with `streaming` the answer is an event stream',
    scoped: { right: 'write_messages', fields: MESSAGE_FIELDS },
    params,
    body: messageRequest,
    answer: lettaResponseWithAgent,
    streams: true,
    handle: async (input) =>
      input.body.streaming === true ? streamTurn(turnOf(input)) : answerTurn(turnOf(input)),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages/stream',
    operation: 'create_agent_message_stream',
    summary: 'Send a message and stream the answer',
    scoped: { right: 'write_messages', fields: MESSAGE_FIELDS },
    params,
    body: messageRequest,
    answer: 'event-stream',
    handle: async (input) => streamTurn(turnOf(input)),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages/async',
    operation: 'create_agent_message_async',
    summary: 'Send a message and get its run at once; `callback_url` is told of its end',
    scoped: { right: 'write_messages', fields: MESSAGE_FIELDS },
    params,
    body: asyncRequest,
    answer: run,
    handle: async (input) => startTurn(turnOf(input)),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages/preview-raw-payload',
    operation: 'preview_model_request',
    summary: 'The request that a message would send to the model; nothing is stored or sent',
    params,
    body: messageRequest,
    answer: jsonObject,
    handle: async (input) => previewTurn(turnOf(input)),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages/cancel',
    operation: 'cancel_message',
    summary:
      "Cancel an agent's turns in all of its conversations, or some of them, in whichever process they run",
    scoped: { right: 'write_messages', fields: ['run_ids'] },
    params,
    body: z.object({ run_ids: z.array(z.string()).max(100).nullish() }),
    optional_body: true,
    answer: z.record(z.string(), z.enum(['cancelled', 'failed'])),
    async handle({ actor, context, params, body }) {
      const { agent_id } = params
      if (!(await context.deps.store.agents.get(actor, agent_id, []))) throw notFound('Agent', agent_id)
      const run_ids = body.run_ids ?? null
      return cancelRuns(context, actor, { agent_id, conversation_id: agent_id, run_ids, all: true })
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/messages/:message_id',
    operation: 'modify_message',
    summary: 'Always 405: messages are never changed',
    params: params.extend({ message_id: z.string() }),
    answer: 'unknown',
    also: [405],
    async handle() {
      throw new AppError('not_allowed', 'messages cannot be changed once they are stored', {
        data: { allow: [] },
      })
    },
  }),
]

/** A message for an agent belongs to its default conversation. */
function turnOf<B>(input: {
  actor: Actor
  context: ServerContext
  params: z.output<typeof params>
  body: B
  request: Request
}): TurnRequest<B> {
  const { agent_id } = input.params
  return { ...input, agent_id, conversation_id: agent_id }
}

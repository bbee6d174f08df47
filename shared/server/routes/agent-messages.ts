import { createHash } from 'node:crypto'
import * as z from 'zod'
import type { ActiveRun } from '../../core/active-runs.ts'
import type { TurnResult } from '../../core/events.ts'
import type { Actor } from '../../core/ports/actor.ts'
import { AppError, isAppError } from '../../schema/errors.ts'
import { idSchema } from '../../schema/ids.ts'
import {
  type AsyncRequest,
  asyncRequest,
  lettaMessage,
  lettaResponse,
  type LettaResponse,
  type MessageCreate,
  type MessageRequest,
  messageRequest,
  messageType,
} from '../../schema/message.ts'
import { listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import { run } from '../../schema/run.ts'
import { callBack } from '../callback.ts'
import { cancelRuns } from '../cancel.ts'
import type { ServerContext } from '../context.ts'
import { asAgentNotFound, notFound } from '../errors.ts'
import { loadImages } from '../images.ts'
import { listShown, onlyTypes, toLettaMessages } from '../letta-messages.ts'
import { streamRun } from '../letta-stream.ts'
import { route } from '../route.ts'

const params = z.object({ agent_id: idSchema('agent') })

export const routes = [
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/messages',
    operation: 'list_messages',
    summary: "List an agent's messages; `after` is newer and `before` older, whatever the order",
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
      // Groups come with a later version: no message belongs to one.
      if (query.group_id !== undefined) return []
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
    params,
    body: messageRequest,
    answer: lettaResponse,
    handle: async (input) =>
      input.body.streaming === true ? streamMessage(input) : sendMessage(input, input.request.signal),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages/stream',
    operation: 'create_agent_message_stream',
    summary: 'Send a message and stream the answer',
    params,
    body: messageRequest,
    answer: 'event-stream',
    handle: async (input) => streamMessage(input),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages/async',
    operation: 'create_agent_message_async',
    summary: 'Send a message and get its run at once; `callback_url` is told of its end',
    params,
    body: asyncRequest,
    answer: run,
    async handle(input) {
      const { body, context, actor } = input
      const { active, joined } = await begin(input, { mode: 'async', stream_tokens: false })
      const url = body.callback_url
      if (url != null && !joined) callBack(context, actor, active, url, (result) => toResponse(result, body))
      return active.run
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages/cancel',
    operation: 'cancel_message',
    summary: "Cancel an agent's turn, in whichever process it runs",
    params,
    body: z.object({ run_ids: z.array(z.string()).max(100).nullish() }),
    optional_body: true,
    answer: z.record(z.string(), z.enum(['cancelled', 'failed'])),
    async handle({ actor, context, params, body }) {
      const { agent_id } = params
      if (!(await context.deps.store.agents.get(actor, agent_id, []))) throw notFound('Agent', agent_id)
      const run_ids = body.run_ids ?? null
      return cancelRuns(context, actor, { agent_id, conversation_id: agent_id, run_ids })
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/messages/:message_id',
    operation: 'modify_message',
    summary: 'Always 405: messages are never changed',
    params: params.extend({ message_id: z.string() }),
    answer: 'unknown',
    async handle() {
      throw new AppError('not_allowed', 'messages cannot be changed once they are stored', {
        data: { allow: [] },
      })
    },
  }),
]

interface SendInput<B> {
  actor: Actor
  context: ServerContext
  params: z.output<typeof params>
  body: B
  request: Request
}

/**
 * Begins the turn, or finds the one that the same request has begun before (DESIGN decision 8): the official client
 * asks again, with the same body, when an answer does not come within its time limit.
 */
async function begin(
  { actor, context, params, body, request }: SendInput<MessageRequest | AsyncRequest>,
  how: { mode: 'send' | 'stream' | 'async'; stream_tokens: boolean },
): Promise<{ active: ActiveRun; joined: boolean; delivered: () => void }> {
  if ('background' in body && body.background)
    throw new AppError(
      'not_implemented',
      'background runs are not served by this version of Loci; leave `background` out',
    )
  const { agent_id } = params
  const attempt = request.headers.get('x-stainless-retry-count')
  const fingerprint = attempt === null ? null : fingerprintOf(actor, agent_id, how.mode, body)
  const delivered = () => {
    if (fingerprint !== null) context.runs.delivered(fingerprint)
  }
  if (fingerprint !== null && Number(attempt) > 0) {
    const known = context.runs.join(fingerprint)
    if (known) return { active: known, joined: true, delivered }
  }
  const starting = context.runs.start(actor, {
    agent_id,
    conversation_id: agent_id,
    messages: await loadImages(inputOf(body), { allow_private: context.allow_private_images }),
    max_steps: body.max_steps,
    stream_tokens: how.stream_tokens,
    override_model: body.override_model ?? null,
    override_system: body.override_system ?? body.system ?? null,
    logprobs: body.return_logprobs ? { top: body.top_logprobs ?? null } : null,
    background: how.mode === 'async',
    callback_url: ('callback_url' in body ? body.callback_url : null) ?? null,
    fingerprint,
    request_config: {
      use_assistant_message: body.use_assistant_message,
      assistant_message_tool_name: body.assistant_message_tool_name,
      assistant_message_tool_kwarg: body.assistant_message_tool_kwarg,
      include_return_message_types: body.include_return_message_types ?? null,
    },
  })
  return { active: await starting.catch(asAgentNotFound(agent_id)), joined: false, delivered }
}

function fingerprintOf(actor: Actor, conversation_id: string, mode: string, body: unknown): string {
  const text = JSON.stringify([actor.organization_id, conversation_id, mode, body])
  return createHash('sha256').update(text).digest('base64')
}

async function streamMessage(input: SendInput<MessageRequest>): Promise<Response> {
  const { body } = input
  const { stream_tokens, include_pings, include_return_message_types: types } = body
  const { active, delivered } = await begin(input, { mode: 'stream', stream_tokens })
  return streamRun(active, { stream_tokens, include_pings, types, speaking: body, onDelivered: delivered })
}

async function sendMessage(input: SendInput<MessageRequest>, client: AbortSignal): Promise<LettaResponse> {
  const { active, delivered } = await begin(input, { mode: 'send', stream_tokens: false })
  const result = await active.done
  if (!client.aborted) delivered()
  if (result.error) throw turnFailure(result)
  return toResponse(result, input.body)
}

function toResponse(result: TurnResult, body: MessageRequest | AsyncRequest): LettaResponse {
  const messages = result.messages.flatMap((message) => toLettaMessages(message, body))
  return {
    messages: onlyTypes(messages, body.include_return_message_types),
    stop_reason: { message_type: 'stop_reason', stop_reason: result.stop_reason },
    usage: result.usage,
    logprobs: result.logprobs,
    turns: null,
  }
}

function turnFailure({ error }: TurnResult): unknown {
  const cause = error?.cause
  return isAppError(cause) ? cause : new AppError('internal', error?.message ?? 'the turn failed')
}

function inputOf(body: MessageRequest | AsyncRequest): MessageCreate[] {
  if (body.messages != null) return body.messages
  return [{ role: 'user', content: body.input ?? '' }]
}

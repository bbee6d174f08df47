import * as z from 'zod'
import type { TurnResult } from '../../core/events.ts'
import type { Actor } from '../../core/ports.ts'
import { AppError, isAppError } from '../../schema/errors.ts'
import { idSchema } from '../../schema/ids.ts'
import {
  lettaMessage,
  lettaResponse,
  type LettaResponse,
  type MessageCreate,
  type MessageRequest,
  messageRequest,
  messageType,
} from '../../schema/message.ts'
import { listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { listMessages, onlyTypes, toLettaMessages } from '../letta-messages.ts'
import { streamRun } from '../letta-stream.ts'
import { route } from '../route.ts'

const params = z.object({ agent_id: idSchema('agent') })

export const routes = [
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/messages',
    summary: "List an agent's messages; `after` is newer and `before` older, whatever the order",
    params,
    query: z.object({
      ...pageQuery({ limit: 100, order: 'desc' }),
      conversation_id: z.string().optional(),
      include_err: queryBoolean.optional(),
      include_return_message_types: listOf(messageType),
    }),
    answer: z.array(lettaMessage),
    async handle({ actor, context, params, query }) {
      if (!(await context.deps.store.agents.get(actor, params.agent_id, [])))
        throw notFound('Agent', params.agent_id)
      const conversation_id = query.conversation_id === 'default' ? params.agent_id : query.conversation_id
      const filter = { agent_id: params.agent_id, conversation_id, include_err: query.include_err }
      const stored = await context.deps.store.messages.list(actor, filter, query)
      return listMessages(stored, { order: query.order, types: query.include_return_message_types })
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages',
    summary: 'Send a message; with `streaming` the answer is an event stream',
    params,
    body: messageRequest,
    answer: lettaResponse,
    handle: async ({ actor, context, params, body }) =>
      body.streaming === true
        ? streamMessage(context, actor, params.agent_id, body)
        : sendMessage(context, actor, params.agent_id, body),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages/stream',
    summary: 'Send a message and stream the answer',
    params,
    body: messageRequest,
    answer: 'event-stream',
    handle: async ({ actor, context, params, body }) => streamMessage(context, actor, params.agent_id, body),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/messages/cancel',
    summary: "Cancel an agent's turn",
    params,
    body: z.object({ run_ids: z.array(z.string()).nullish() }),
    optional_body: true,
    answer: z.record(z.string(), z.string()),
    async handle({ context, params, body }) {
      const own = context.runs.of(params.agent_id, params.agent_id)
      const runs = body.run_ids ? body.run_ids.map((id) => context.runs.get(id)) : [own]
      const active = runs.filter((run) => run !== null && run.run.agent_id === params.agent_id)
      if (active.length === 0)
        throw new AppError('conflict', `agent ${params.agent_id} has no turn that could be cancelled here`)
      const results = active.map(async (run) => {
        run?.cancel()
        const result = await run?.done
        return [result?.run_id ?? '', result?.status === 'cancelled' ? 'cancelled' : 'failed'] as const
      })
      return Object.fromEntries(await Promise.all(results))
    },
  }),
]

async function begin(
  context: ServerContext,
  actor: Actor,
  agent_id: string,
  body: MessageRequest,
  stream_tokens: boolean,
) {
  if (body.background)
    throw new AppError(
      'not_implemented',
      'background runs are not served by this version of Loci; leave `background` out',
    )
  const starting = context.runs.start(actor, {
    agent_id,
    conversation_id: agent_id,
    messages: inputOf(body),
    max_steps: body.max_steps,
    stream_tokens,
    override_model: body.override_model ?? null,
    override_system: body.override_system ?? null,
    request_config: {
      use_assistant_message: body.use_assistant_message,
      assistant_message_tool_name: body.assistant_message_tool_name,
      assistant_message_tool_kwarg: body.assistant_message_tool_kwarg,
      include_return_message_types: body.include_return_message_types ?? null,
    },
  })
  return starting.catch((error: unknown) => {
    throw isAppError(error, 'not_found') ? notFound('Agent', agent_id) : error
  })
}

async function streamMessage(context: ServerContext, actor: Actor, agent_id: string, body: MessageRequest) {
  const run = await begin(context, actor, agent_id, body, body.stream_tokens)
  const { stream_tokens, include_pings, include_return_message_types: types } = body
  return streamRun(run, { stream_tokens, include_pings, types }, context.closing)
}

async function sendMessage(
  context: ServerContext,
  actor: Actor,
  agent_id: string,
  body: MessageRequest,
): Promise<LettaResponse> {
  const run = await begin(context, actor, agent_id, body, false)
  const result = await run.done
  if (result.error) throw turnFailure(result)
  return {
    messages: onlyTypes(result.messages.flatMap(toLettaMessages), body.include_return_message_types),
    stop_reason: { message_type: 'stop_reason', stop_reason: result.stop_reason },
    usage: result.usage,
    logprobs: null,
    turns: null,
  }
}

function turnFailure({ error }: TurnResult): unknown {
  const cause = error?.cause
  return isAppError(cause) ? cause : new AppError('internal', error?.message ?? 'the turn failed')
}

function inputOf(body: MessageRequest): MessageCreate[] {
  if (body.messages != null) return body.messages
  return [{ role: 'user', content: body.input ?? '' }]
}

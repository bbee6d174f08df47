import * as z from 'zod'
import { createConversation, forkConversation } from '../../../core/conversations.ts'
import type { Actor } from '../../../core/ports/actor.ts'
import { AppError } from '../../../schema/errors.ts'
import { isId } from '../../../schema/ids.ts'
import {
  deletedResponse,
  type ResponseRequest,
  responseObject,
  responseRequest,
} from '../../../schema/openai-responses.ts'
import type { Run } from '../../../schema/run.ts'
import { onlyAnswered, type Verdict } from '../../answer-cache.ts'
import { agentOf } from '../../agent-of.ts'
import type { ServerContext } from '../../context.ts'
import { conversationId } from '../../conversation-id.ts'
import { notFound } from '../../errors.ts'
import { speakingOf, toLettaMessages } from '../../letta-messages.ts'
import { passingConversation } from '../../passing-conversation.ts'
import { route, type Route } from '../../route.ts'
import { senderOf } from '../../sender.ts'
import { answerTurn, formatTurn } from '../../turn-response.ts'
import { abandonedIn, allMessages, newMessages, turnBody } from '../../history-input.ts'
import { ResponseEvents } from './response-events.ts'
import { inputMessages } from './response-input.ts'
import { endedResponse, outputOf, type ResponseShape, runOfResponse } from './response-object.ts'

/** Responses of OpenAI: the model is an agent, what was said before is in its conversation. */
export const routes: Route[] = [
  route({
    method: 'POST',
    path: '/openai/v1/responses',
    operation: 'openai_create_response',
    summary:
      'Send a message to the agent that `model` names; `previous_response_id` goes on with a conversation, without it one begins',
    body: responseRequest,
    answer: responseObject,
    streams: true,
    handle: (input) => respond(input),
  }),
  route({
    method: 'GET',
    path: '/openai/v1/responses/:response_id',
    operation: 'openai_retrieve_response',
    summary: 'Read a response again',
    params: z.object({ response_id: z.string() }),
    answer: responseObject,
    async handle({ actor, context, params: { response_id } }) {
      const run = await runOf(context, actor, response_id)
      const result = await context.runs.endOf(actor, run)
      if (!result)
        throw new AppError(
          'conflict',
          `response '${response_id}' is not finished yet; read it again in a moment`,
        )
      const agent = await context.deps.store.agents.get(actor, run.agent_id, [])
      const messages = result.messages
        .filter((message) => !message.approval)
        .flatMap((message) => toLettaMessages(message, speakingOf(run)))
      const shape: ResponseShape = {
        run_id: run.id,
        created_at: Math.floor(Date.parse(run.created_at) / 1000),
        request: { model: agent?.name ?? run.agent_id },
        conversation_id: run.conversation_id ?? run.agent_id,
        // Only tools of the client wait once their turn has ended without an answer.
        client_tools: new Set(
          messages.flatMap((m) =>
            m.message_type === 'approval_request_message' && Array.isArray(m.tool_calls)
              ? m.tool_calls.map(({ name }) => name)
              : [],
          ),
        ),
        shows_tools: true,
      }
      return endedResponse(shape, outputOf(messages, shape), { ...result, error: result.error ?? null })
    },
  }),
  route({
    method: 'DELETE',
    path: '/openai/v1/responses/:response_id',
    operation: 'openai_delete_response',
    summary: 'Delete a response that has ended; what was said stays in its conversation',
    params: z.object({ response_id: z.string() }),
    answer: deletedResponse,
    async handle({ actor, context, params: { response_id } }) {
      const run = await runOf(context, actor, response_id)
      if (!(await context.deps.store.turns.deleteRun(actor, run.id))) throw notFound('Response', response_id)
      return { id: response_id, object: 'response', deleted: true }
    },
  }),
]

interface Input {
  actor: Actor
  context: ServerContext
  body: ResponseRequest
  request: Request
}

async function respond(input: Input): Promise<unknown> {
  const { actor, context, body, request } = input
  const { id: agent_id } = await agentOf(context, actor, body.model)
  const sender_id = body.user == null ? null : await senderOf(context, actor, agent_id, body.user)
  if (body.store !== false) return answered(input, agent_id, sender_id)
  return context.answers.answer(
    { actor, context, request, agent_id, what: ['response', sender_id, body] },
    (verdict) => answered(input, agent_id, sender_id, verdict),
  )
}

async function answered(
  input: Input,
  agent_id: string,
  sender_id: string | null,
  verdict?: Verdict,
): Promise<unknown> {
  const { actor, context, body, request } = input
  const history = inputMessages(body.input)
  const tools = body.tools?.map((tool) => ({ function: tool }))
  const continues = body.previous_response_id != null || body.conversation != null
  const messages = (continues ? newMessages : allMessages)(history, sender_id, 'input')
  const passing =
    body.store === false ? await passingConversation({ actor, context, body, request }, agent_id) : null
  let streams = false
  try {
    const conversation_id = passing?.id ?? (await conversationFor(input, agent_id))
    const turn = {
      actor,
      context,
      request,
      agent_id,
      conversation_id,
      body: turnBody({ tools }, messages),
      // Whoever goes on from a response has its calls in the history, too.
      abandons: body.previous_response_id == null ? abandonedIn(history) : () => false,
    }
    const shapeOf = (run_id: string): ResponseShape => ({
      run_id,
      created_at: Math.floor(context.deps.clock.now().getTime() / 1000),
      request: body,
      conversation_id: passing ? null : conversation_id,
      client_tools: new Set(body.tools?.map(({ name }) => name)),
      shows_tools: body.tool_display === 'output',
    })
    if (body.stream) {
      return await context.queue.run(turn, conversation_id, () =>
        formatTurn(turn, (run_id, shown) => {
          streams = true
          const ended = context.runs.get(run_id)?.done ?? Promise.resolve(null)
          verdict?.(ended.then((result) => result !== null && onlyAnswered(result)))
          if (passing) void ended.then(() => passing.forget())
          return new ResponseEvents(shapeOf(run_id), shown)
        }),
      )
    }
    const answer = await context.queue.run(turn, conversation_id, () => answerTurn(turn))
    verdict?.(onlyAnswered(answer))
    const shape = shapeOf(answer.usage.run_ids?.[0] ?? answer.messages[0]?.run_id ?? '')
    const { usage, stop_reason } = answer
    return endedResponse(shape, outputOf(answer.messages, shape), {
      usage,
      stop_reason: stop_reason.stop_reason,
    })
  } finally {
    if (!streams) await passing?.forget()
  }
}

/** Where a request goes on, or begins: the same place when its client asks again. */
async function conversationFor({ actor, context, body, request }: Input, agent_id: string): Promise<string> {
  const { previous_response_id: previous, conversation } = body
  if (previous != null && conversation != null)
    throw new AppError('validation', "body.conversation: give it or 'previous_response_id', not both")
  if (conversation != null) {
    const name = typeof conversation === 'string' ? conversation : conversation.id
    return conversationId(context, actor, agent_id, name)
  }
  const run = previous == null ? null : await runOf(context, actor, previous)
  if (run && run.agent_id !== agent_id)
    throw new AppError(
      'invalid_argument',
      `response '${previous}' is of agent '${run.agent_id}', not of '${body.model}'`,
    )
  const what = ['a conversation for a response', actor.organization_id, body]
  return context.calls.run({ request, context }, what, async () => {
    if (!run) return (await createConversation(context.deps, actor, agent_id, {})).id
    return placeAfter(context, actor, run)
  })
}

/** The conversation of a run; when it has gone on since then, another one that begins with the run's end. */
async function placeAfter(context: ServerContext, actor: Actor, run: Run): Promise<string> {
  const { store } = context.deps
  const target = { agent_id: run.agent_id, conversation_id: run.conversation_id ?? run.agent_id }
  const found = await store.conversations.get(actor, target.conversation_id)
  if (!found) throw notFound('Conversation', target.conversation_id)
  const page = { limit: 1, order: 'desc' } as const
  const [last] = await store.messages.list(actor, { run_id: run.id }, page)
  if (!last || found.in_context_message_ids.at(-1) === last.id) return found.id
  return (await forkConversation(context.deps, actor, target, { message_id: last.id, hidden: false })).id
}

async function runOf({ deps }: ServerContext, actor: Actor, response_id: string): Promise<Run> {
  const run_id = runOfResponse(response_id)
  const run = run_id !== null && isId('run', run_id) ? await deps.store.turns.getRun(actor, run_id) : null
  if (!run) throw notFound('Response', response_id)
  return run
}

import { createHash } from 'node:crypto'
import type { ActiveRun } from '../core/active-runs.ts'
import type { TurnResult } from '../core/events.ts'
import type { Actor } from '../core/ports/actor.ts'
import { AppError, isAppError } from '../schema/errors.ts'
import type { AsyncRequest, LettaResponse, MessageCreate, MessageRequest } from '../schema/message.ts'
import type { Run } from '../schema/run.ts'
import { callBack } from './callback.ts'
import type { ServerContext } from './context.ts'
import { asAgentNotFound, notFound } from './errors.ts'
import { loadImages } from './images.ts'
import { onlyTypes, toLettaMessages } from './letta-messages.ts'
import { streamRun } from './letta-stream.ts'

/** A request for a turn, of whichever route. */
export interface TurnRequest<B = MessageRequest> {
  actor: Actor
  context: ServerContext
  request: Request
  agent_id: string
  /** The agent's id for its default conversation. */
  conversation_id: string
  body: B
}

/** Begins the turn and answers with its event stream. */
export async function streamTurn(turn: TurnRequest): Promise<Response> {
  const { body } = turn
  const { stream_tokens, include_pings, include_return_message_types: types } = body
  const { active, delivered } = await begin(turn, { mode: 'stream', stream_tokens })
  return streamRun(active, { stream_tokens, include_pings, types, speaking: body, onDelivered: delivered })
}

/** Begins the turn and answers when it has ended. Throws what ended it early. */
export async function answerTurn(turn: TurnRequest): Promise<LettaResponse> {
  const { active, delivered } = await begin(turn, { mode: 'send', stream_tokens: false })
  const result = await active.done
  if (!turn.request.signal.aborted) delivered()
  if (result.error) throw turnFailure(result)
  return toResponse(result, turn.body)
}

/** Begins the turn and answers with its run at once; `callback_url` is told of its end. */
export async function startTurn(turn: TurnRequest<AsyncRequest>): Promise<Run> {
  const { body, context, actor } = turn
  const { active, joined } = await begin(turn, { mode: 'async', stream_tokens: false })
  const url = body.callback_url
  if (url != null && !joined) callBack(context, actor, active, url, (result) => toResponse(result, body))
  return active.run
}

/**
 * Begins the turn, or finds the one that the same request has begun before (DESIGN decision 8): the official client
 * asks again, with the same body, when an answer does not come within its time limit.
 */
async function begin(
  { actor, context, agent_id, conversation_id, body, request }: TurnRequest<MessageRequest | AsyncRequest>,
  how: { mode: 'send' | 'stream' | 'async'; stream_tokens: boolean },
): Promise<{ active: ActiveRun; joined: boolean; delivered: () => void }> {
  if ('background' in body && body.background)
    throw new AppError(
      'not_implemented',
      'background runs are not served by this version of Loci; leave `background` out',
    )
  const attempt = request.headers.get('x-stainless-retry-count')
  const fingerprint = attempt === null ? null : fingerprintOf(actor, conversation_id, how.mode, body)
  const delivered = () => {
    if (fingerprint !== null) context.runs.delivered(fingerprint)
  }
  if (fingerprint !== null && Number(attempt) > 0) {
    const known = context.runs.join(fingerprint)
    if (known) return { active: known, joined: true, delivered }
  }
  const starting = context.runs.start(actor, {
    agent_id,
    conversation_id,
    messages: await loadImages(inputOf(body), context.download),
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
  const active = await starting.catch(
    conversation_id === agent_id ? asAgentNotFound(agent_id) : asConversationNotFound(conversation_id),
  )
  return { active, joined: false, delivered }
}

function asConversationNotFound(id: string): (error: unknown) => never {
  return (error) => {
    throw isAppError(error, 'not_found') ? notFound('Conversation', id) : error
  }
}

function fingerprintOf(actor: Actor, conversation_id: string, mode: string, body: unknown): string {
  const text = JSON.stringify([actor.organization_id, conversation_id, mode, body])
  return createHash('sha256').update(text).digest('base64')
}

/** How a turn went, as V1 answers it. */
function toResponse(result: TurnResult, body: MessageRequest | AsyncRequest): LettaResponse {
  // What the program said to the model between two steps (heartbeats) is in history only.
  const messages = result.messages
    .filter((message) => message.role !== 'user')
    .flatMap((message) => toLettaMessages(message, body))
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

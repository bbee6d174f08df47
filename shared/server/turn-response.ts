import { createHash } from 'node:crypto'
import type { StartRun } from '../core/runs/active-run.ts'
import type { JoinedRun } from '../core/runs/run-elsewhere.ts'
import type { TurnResult } from '../core/events.ts'
import type { Actor } from '../core/ports/actor.ts'
import { previewRequest } from '../core/turn/preview.ts'
import type { AgentState } from '../schema/agent.ts'
import { AppError, isAppError } from '../schema/errors.ts'
import type { AsyncRequest, LettaResponse, MessageRequest, TurnMessage } from '../schema/message.ts'
import type { Run } from '../schema/run.ts'
import { wholeAgent } from './agent-state.ts'
import { callBack } from './callback.ts'
import type { ServerContext } from './context.ts'
import { pastAbandonedCalls } from './abandoned-calls.ts'
import { asAgentNotFound, notFound } from './errors.ts'
import { type StreamFormat, streamFormatted } from './formatted-stream.ts'
import { loadImages } from './images.ts'
import { onlyTypes, toLettaMessages } from './letta-messages.ts'
import { StreamMapper, streamEnded, streamRun, type StreamShape } from './letta-stream.ts'
import { BATCH_SIZE, streamRecorded } from './run-stream.ts'

/** A request for a turn, of whichever route. */
export interface TurnRequest<B = MessageRequest> {
  actor: Actor
  context: ServerContext
  request: Request
  agent_id: string
  /** The agent's id for its default conversation. */
  conversation_id: string
  body: B
  /** The message of a user that is sent again in other words. */
  edit?: { message_id: string }
  /** Another name of its input: one that has begun a run under it begins no second one. */
  once?: string
  /** `once` is the request of a batch whose model calls go through batches of the provider. */
  batched?: boolean
  /**
   * Of clients that send their history with each message and cannot cancel: whether a call of one of their tools is not
   * in it any more. Plain input then cancels such a call, where other input is refused.
   */
  abandons?: (tool_call_id: string) => boolean
}

/** Begins the turn and answers with its event stream; that of a background run is stored on the way. */
export async function streamTurn(turn: TurnRequest): Promise<Response> {
  const { actor, body, context } = turn
  const { include_pings, stream_tokens, background } = body
  const {
    run_id,
    active,
    whole,
    delivered: onDelivered,
  } = await begin(turn, background ? 'background' : 'stream')
  const ended = active ? null : await endOf(turn, run_id)
  if (ended && !(background && ended.run.background))
    return streamEnded(ended.result, { ...shapeOf(body, false), include_pings, onDelivered })
  if (!active || active.recording)
    return streamRecorded(context, actor, run_id, {
      starting_after: 0,
      batch_size: BATCH_SIZE,
      include_pings,
      onDelivered,
    })
  return streamRun(active, { ...shapeOf(body, stream_tokens && !whole), include_pings, onDelivered })
}

/** Begins the turn and answers when it has ended. Throws what ended it early. */
export async function answerTurn(turn: TurnRequest): Promise<LettaResponse & { agent_state?: AgentState }> {
  if (turn.body.background)
    throw new AppError(
      'validation',
      'body.background: a background run answers with its stream; set `streaming` to true, or use messages/async',
    )
  const { active, delivered, run_id } = await begin(turn, 'send')
  if (!active) throw notFound('Run', run_id)
  const result = await active.done
  if (!turn.request.signal.aborted) delivered()
  if (result.error) throw turnFailure(result)
  const response = toResponse(result, shapeOf(turn.body, false))
  if (!turn.body.include_agent_state) return response
  return { ...response, agent_state: await wholeAgent(turn.context, turn.actor, turn.agent_id) }
}

/** Begins the turn and answers with its stream in the format that is made for its run. */
export async function formatTurn(
  turn: TurnRequest,
  formatOf: (run_id: string, shape: StreamShape) => StreamFormat,
): Promise<Response> {
  const { run_id, active, whole, delivered: onDelivered } = await begin(turn, 'stream')
  if (!active) throw notFound('Run', run_id)
  return streamFormatted(active, formatOf(run_id, shapeOf(turn.body, !whole)), { onDelivered })
}

/** How a run ended that the same request has begun before; null while it runs in another process. */
async function endOf(
  { actor, context }: TurnRequest,
  run_id: string,
): Promise<{ run: Run; result: TurnResult } | null> {
  const run = await context.deps.store.turns.getRun(actor, run_id)
  const result = run && (await context.runs.endOf(actor, run))
  return result && { run, result }
}

/** Begins the turn and answers with its run at once; `callback_url` is told of its end. */
export async function startTurn(turn: TurnRequest<AsyncRequest>): Promise<Run> {
  const { actor, body, context } = turn
  const { run_id, active, joined } = await begin(turn, 'async')
  if (active && !joined && body.callback_url != null)
    callBack(context, active, body.callback_url, (result) => toResponse(result, shapeOf(body, false)))
  const run = active?.run ?? (await context.deps.store.turns.getRun(actor, run_id))
  if (!run) throw notFound('Run', run_id)
  return run
}

/** The request that the first step of this turn would send to its model. */
export async function previewTurn(turn: TurnRequest): Promise<Record<string, unknown>> {
  const { actor, body, context, agent_id, conversation_id } = turn
  const previewing = previewRequest(context.deps, actor, {
    agent_id,
    conversation_id,
    messages: await loadImages(inputOf(body), context.download),
    override_model: body.override_model ?? null,
    override_system: body.override_system ?? body.system ?? null,
    logprobs: body.return_logprobs ? { top: body.top_logprobs ?? null } : null,
    client_tools: body.client_tools ?? [],
    client_skills: body.client_skills ?? [],
    stream: body.streaming === true && body.stream_tokens,
  })
  return previewing.catch(asAgentNotFound(agent_id))
}

type Mode = 'send' | 'stream' | 'background' | 'async'

interface Begun {
  run_id: string
  /** Null when its stream is stored and another process runs it, or it has ended. */
  active: JoinedRun | null
  /** It tells whole messages, once it has ended: it is not one of this process. */
  whole: boolean
  /** The same request has begun it before. */
  joined: boolean
  /** Is told that the answer has reached its client. */
  delivered: () => void
}

/**
 * Begins the turn, or finds the one that the same request has begun before: the official client asks again, with the
 * same body, when an answer does not come within its time limit (DESIGN decision 8), and a client that gives its messages
 * ids of its own may repeat them (reference 6.4). Where another process has begun it, the store tells which run it is.
 */
async function begin(turn: TurnRequest<MessageRequest | AsyncRequest>, mode: Mode): Promise<Begun> {
  const { actor, context, agent_id, conversation_id, body, request } = turn
  const { runs } = context
  const attempt = request.headers.get('x-stainless-retry-count')
  const otids = turn.once === undefined ? otidsOf(body) : [turn.once]
  const sayable = otids ?? (attempt === null ? null : body)
  const fingerprint =
    sayable === null ? null : fingerprintOf(actor, conversation_id, mode, [sayable, turn.edit])
  const delivered = () => {
    if (fingerprint !== null) runs.delivered(fingerprint)
  }
  const joinable = async () => {
    const again = Number(attempt ?? 0) > 0
    if (fingerprint === null || (!again && otids === null)) return null
    const known = await runs.join(fingerprint)
    if (!known || (!again && !runs.get(known.run.id))) return null
    return { run_id: known.run.id, active: known, whole: false, joined: true, delivered }
  }
  const known = await joinable()
  if (known) return known
  const recorded = mode === 'background' || mode === 'async'
  const shape = shapeOf(body, mode !== 'async' && 'stream_tokens' in body && body.stream_tokens)
  try {
    // A model that is not there is the caller's mistake, not the end of a run.
    if (body.override_model != null) await context.deps.models.resolve(actor, body.override_model)
    const start: StartRun = {
      agent_id,
      conversation_id,
      messages: await loadImages(inputOf(body), context.download),
      max_steps: body.max_steps,
      stream_tokens: mode !== 'send' && shape.stream_tokens,
      override_model: body.override_model ?? null,
      override_system: body.override_system ?? body.system ?? null,
      logprobs: body.return_logprobs ? { top: body.top_logprobs ?? null } : null,
      client_tools: body.client_tools ?? [],
      client_skills: body.client_skills ?? [],
      background: recorded,
      recording: recorded
        ? { encoder: (run_id) => new StreamMapper(run_id, shape), wire: { ...shape } }
        : null,
      otids: recorded ? otids : null,
      repeats: { again: Number(attempt ?? 0) > 0, named: otids !== null },
      // A process that stood still reads a request whose client has long asked another one.
      signal: attempt === null ? null : request.signal,
      edit: turn.edit ?? null,
      batch_item_id: (turn.batched ? turn.once : null) ?? null,
      callback_url: ('callback_url' in body ? body.callback_url : null) ?? null,
      fingerprint,
      request_config: {
        use_assistant_message: body.use_assistant_message,
        assistant_message_tool_name: body.assistant_message_tool_name,
        assistant_message_tool_kwarg: body.assistant_message_tool_kwarg,
        include_compaction_messages: body.include_compaction_messages,
        include_return_message_types: body.include_return_message_types ?? null,
        ...(turn.abandons ? { view_tools: (body.client_tools ?? []).map(({ name }) => name) } : {}),
      },
    }
    const active = await pastAbandonedCalls(turn, () => runs.start(actor, start))
    return { run_id: active.run.id, active, whole: false, joined: false, delivered }
  } catch (error) {
    if (isAppError(error, 'already_started')) {
      const run_id = String(error.data['run_id'])
      const here = runs.get(run_id)
      if (here || recorded) return { run_id, active: here, whole: false, joined: true, delivered }
      const run = await context.deps.store.turns.getRun(actor, run_id)
      const active = run && runs.elsewhere(actor, run, { signal: request.signal, closing: context.closing })
      return { run_id, active, whole: true, joined: true, delivered }
    }
    const same = isAppError(error, 'conversation_busy') ? await joinable() : null
    if (same) return same
    return (
      conversation_id === agent_id ? asAgentNotFound(agent_id) : asConversationNotFound(conversation_id)
    )(error)
  }
}

/** What the items of a turn's answer depend on. */
function shapeOf(body: MessageRequest | AsyncRequest, stream_tokens: boolean): StreamShape {
  return {
    stream_tokens,
    types: body.include_return_message_types ?? null,
    speaking: {
      use_assistant_message: body.use_assistant_message,
      assistant_message_tool_name: body.assistant_message_tool_name,
      assistant_message_tool_kwarg: body.assistant_message_tool_kwarg,
      include_compaction_messages: body.include_compaction_messages,
    },
  }
}

/** The ids that a client gave all of its messages; null when one has none. */
function otidsOf({ messages }: MessageRequest | AsyncRequest): string[] | null {
  const otids = (messages ?? []).flatMap(({ otid }) => (otid == null || otid === '' ? [] : [otid]))
  return otids.length > 0 && otids.length === messages?.length ? otids : null
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
export function toResponse(result: TurnResult, { types, speaking }: StreamShape): LettaResponse {
  const messages = result.messages.flatMap((message) => toLettaMessages(message, speaking))
  return {
    messages: onlyTypes(messages, types),
    stop_reason: { message_type: 'stop_reason', stop_reason: result.stop_reason },
    usage: result.usage,
    logprobs: result.logprobs,
    turns: null,
  }
}

function turnFailure({ error, run_id }: TurnResult): unknown {
  const cause = error?.cause
  if (isAppError(cause, 'store_unavailable') && cause.data['run_id'] === undefined)
    return new AppError(
      cause.code,
      `${cause.message} The message, and the steps before, are kept (run ${run_id}).`,
      {
        data: { ...cause.data, run_id },
        cause,
      },
    )
  return isAppError(cause) ? cause : new AppError('internal', error?.message ?? 'the turn failed')
}

function inputOf(body: MessageRequest | AsyncRequest): TurnMessage[] {
  if (body.messages != null) return body.messages
  return [{ role: 'user', content: body.input ?? '' }]
}

import type { ActiveRun } from '../core/active-runs.ts'
import type { AgentEvent } from '../core/events.ts'
import type { MessageType, StreamItem } from '../schema/message.ts'
import { messageOf } from '../schema/errors.ts'
import {
  commonFields,
  onlyTypes,
  partOtid,
  type SpeakingTool,
  toLettaMessages,
  toolReturnFields,
  wireDate,
} from './letta-messages.ts'
import { encodeEvent, eventStream } from './sse.ts'

/** Silence after which a ping is sent (reference 6.1). */
const KEEP_ALIVE_MS = 20_000

export interface LettaStreamOptions {
  stream_tokens: boolean
  include_pings: boolean
  types: readonly MessageType[] | null | undefined
  speaking: SpeakingTool
  /** Hears that the stream was read to its end. */
  onDelivered?: () => void
}

/** A run as V1's event stream. When the client goes away, or stalls, only the stream ends, never the run. */
export function streamRun(run: ActiveRun, options: LettaStreamOptions): Response {
  const abort = new AbortController()
  return eventStream(encodeRun(run, options, abort.signal), {
    abort,
    keepAliveMs: KEEP_ALIVE_MS,
    keepAlive: () => (options.include_pings ? encodeItem(ping(run.run.id)) : ': keep-alive\n\n'),
    onError: (error) => encodeFailure(run.run.id, 'internal_error', 'the stream broke off', messageOf(error)),
  })
}

async function* encodeRun(
  run: ActiveRun,
  options: LettaStreamOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const mapper = new StreamMapper(run.run.id, options)
  if (options.include_pings) yield encodeItem(ping(run.run.id))
  for await (const batch of run.follow(signal)) {
    let text = ''
    for (const event of batch) text += mapper.encode(event)
    if (text !== '') yield text
  }
  if (!signal.aborted) options.onDelivered?.()
}

/** Turns agent events into stream items, keeping one otid for each part of a message. */
class StreamMapper {
  readonly #run_id: string
  readonly #options: LettaStreamOptions
  readonly #wanted: ReadonlySet<string> | null
  #parts: string[] = []
  #date = ''

  constructor(run_id: string, options: LettaStreamOptions) {
    this.#run_id = run_id
    this.#options = options
    this.#wanted = options.types ? new Set(options.types) : null
  }

  encode(event: AgentEvent): string {
    switch (event.type) {
      case 'run_start':
      case 'step_end':
        return ''
      case 'step_start':
        this.#parts = []
        this.#date = wireDate(new Date().toISOString())
        return ''
      case 'text_delta':
        return this.#delta(event, 'assistant_message', { content: event.text })
      case 'reasoning_delta':
        return this.#delta(event, 'reasoning_message', {
          source: 'reasoner_model',
          reasoning: event.text,
          signature: null,
        })
      case 'tool_call_delta': {
        const delta = { name: event.name, arguments: event.arguments, tool_call_id: event.tool_call_id }
        // V1 puts the same single object in both fields of a streamed delta; clients rely on it.
        return this.#delta(event, 'tool_call_message', { tool_call: delta, tool_calls: delta })
      }
      case 'message':
        return this.#message(event)
      case 'run_end':
        return this.#end(event)
    }
  }

  #delta(
    event: { message_id: string; step_id: string },
    message_type: MessageType,
    fields: Record<string, unknown>,
  ): string {
    if (this.#wanted && !this.#wanted.has(message_type)) return ''
    let index = this.#parts.indexOf(message_type)
    if (index < 0) index = this.#parts.push(message_type) - 1
    return encodeData({
      id: event.message_id,
      date: this.#date,
      name: null,
      otid: partOtid(event.message_id, index),
      sender_id: null,
      step_id: event.step_id,
      run_id: this.#run_id,
      seq_id: null,
      message_type,
      ...fields,
    })
  }

  #message({ message }: Extract<AgentEvent, { type: 'message' }>): string {
    if (this.#options.stream_tokens && message.role === 'assistant') return ''
    const items =
      this.#options.stream_tokens && message.role === 'tool'
        ? [{ ...commonFields(message, partOtid(message.id, 0)), ...toolReturnFields(message.tool_returns) }]
        : toLettaMessages(message, this.#options.speaking)
    return onlyTypes(items, this.#options.types).map(encodeItem).join('')
  }

  #end({ result }: Extract<AgentEvent, { type: 'run_end' }>): string {
    const stop = encodeItem({ message_type: 'stop_reason', stop_reason: result.stop_reason })
    if (result.error)
      return stop + encodeFailure(this.#run_id, result.error.type, result.error.message, result.error.detail)
    return stop + (result.status === 'cancelled' ? '' : encodeItem(result.usage)) + 'data: [DONE]\n\n'
  }
}

function ping(run_id: string): StreamItem {
  const date = wireDate(new Date().toISOString())
  return { message_type: 'ping', id: `ping-${crypto.randomUUID()}`, date, run_id, seq_id: null }
}

function encodeItem(item: StreamItem): string {
  return encodeData(item)
}

function encodeData(item: object): string {
  return `data: ${JSON.stringify(item)}\n\n`
}

function encodeFailure(run_id: string, error_type: string, message: string, detail: string): string {
  const item: StreamItem = {
    message_type: 'error_message',
    run_id,
    error_type,
    message,
    detail,
  }
  return `${encodeEvent({ event: 'error', data: JSON.stringify(item) })}data: [DONE]\n\n`
}

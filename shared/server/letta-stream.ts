import type { JoinedRun } from '../core/runs/run-elsewhere.ts'
import type { ChunkEncoder } from '../core/runs/recording.ts'
import type { AgentEvent, TurnError, TurnResult } from '../core/events.ts'
import { ArgumentStream } from '../core/turn/argument-stream.ts'
import type { LettaMessage, MessageType, StoredMessage, StreamItem } from '../schema/message.ts'
import { HANDED_OVER } from '../schema/handed-over.ts'
import { messageOf } from '../schema/errors.ts'
import {
  isSent,
  onlyTypes,
  type SpeakingTool,
  speaks,
  toLettaMessages,
  toolReturnFields,
} from './letta-messages.ts'
import { compactionEvent } from './compaction-messages.ts'
import { commonFields, partOtid, wireDate } from './message-fields.ts'
import { encodeEvent, eventStream } from './sse.ts'

/** Silence after which a ping is sent (reference 6.1). */
export const KEEP_ALIVE_MS = 20_000

/** What the items of a stream depend on. */
export interface StreamShape {
  stream_tokens: boolean
  types: readonly MessageType[] | null | undefined
  speaking: SpeakingTool
}

export interface LettaStreamOptions extends StreamShape {
  include_pings: boolean
  /** Hears that the stream was read to its end. */
  onDelivered?: () => void
}

/** A run as V1's event stream. When the client goes away, or stalls, only the stream ends, never the run. */
export function streamRun(run: JoinedRun, options: LettaStreamOptions): Response {
  const abort = new AbortController()
  return eventStream(encodeRun(run, options, abort.signal), {
    abort,
    keepAliveMs: KEEP_ALIVE_MS,
    keepAlive: () => (options.include_pings ? encodeItem(ping(run.run.id)) : ': keep-alive\n\n'),
    onError: (error) => encodeFailure(run.run.id, brokenOff(error)),
  })
}

/** A run that has ended as V1's event stream, by whole messages. */
export function streamEnded(result: TurnResult, options: LettaStreamOptions): Response {
  return eventStream(encodeEnded(result, options), {
    abort: new AbortController(),
    keepAliveMs: KEEP_ALIVE_MS,
    keepAlive: () => ': keep-alive\n\n',
    onError: (error) => encodeFailure(result.run_id, brokenOff(error)),
  })
}

async function* encodeEnded(result: TurnResult, options: LettaStreamOptions): AsyncGenerator<string> {
  const mapper = new StreamMapper(result.run_id, { ...options, stream_tokens: false })
  if (options.include_pings) yield encodeItem(ping(result.run_id))
  for (const message of result.messages) yield mapper.text({ type: 'message', message })
  yield mapper.text({ type: 'run_end', result })
  options.onDelivered?.()
}

/** A failure of the stream itself. */
export function brokenOff(error: unknown): TurnError {
  return { type: 'internal_error', message: 'the stream broke off', detail: messageOf(error) }
}

async function* encodeRun(
  run: JoinedRun,
  options: LettaStreamOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const mapper = new StreamMapper(run.run.id, options)
  if (options.include_pings) yield encodeItem(ping(run.run.id))
  for await (const batch of run.follow(signal)) {
    let text = ''
    for (const event of batch) {
      const progress = event.type === 'tool_progress' && options.include_pings
      text += progress ? encodeItem(ping(run.run.id, event.text)) : mapper.text(event)
    }
    if (text !== '') yield text
  }
  if (!signal.aborted) options.onDelivered?.()
}

/** An item of a stream before it is written: its type and fields, as V1 names them. */
export interface WireItem {
  message_type: string
  [field: string]: unknown
}

/** Turns agent events into stream items, keeping one otid for each part of a message. */
export class StreamMapper implements ChunkEncoder {
  readonly #run_id: string
  readonly #write: (item: WireItem) => string
  readonly #options: StreamShape
  readonly #wanted: ReadonlySet<string> | null
  #parts: string[] = []
  /** Calls whose deltas have asked for approval. */
  readonly #asked = new Set<string>()
  /** Calls of the speaking tool, by their id, and whether any text of them was sent. */
  readonly #speeches = new Map<string, { text: ArgumentStream; begun: boolean }>()
  #date = ''
  /** The number of the next chunk; null in a stream that is not stored. */
  #seq: number | null = null

  /** `write` writes an item in another format than V1's. */
  constructor(run_id: string, options: StreamShape, write: (item: WireItem) => string = encodeData) {
    this.#run_id = run_id
    this.#write = write
    this.#options = options
    this.#wanted = options.types ? new Set(options.types) : null
  }

  encode(event: AgentEvent, seq: number): { text: string; count: number } {
    this.#seq = seq
    const text = this.text(event)
    return { text, count: this.#seq - seq }
  }

  /** The chunks of an event. */
  text(event: AgentEvent): string {
    switch (event.type) {
      case 'run_start':
      case 'step_end':
      // V1's clients know no such item: the step names the model that answered, and why.
      case 'model_fallback':
      // Pings tell of it, which are not numbered and not stored.
      case 'tool_progress':
        return ''
      case 'step_start':
        this.#parts = []
        this.#speeches.clear()
        this.#date = wireDate(new Date().toISOString())
        return ''
      case 'text_delta':
        return this.#delta(event, 'assistant_message', { content: event.text })
      case 'reasoning_delta':
        return this.#delta(
          event,
          'reasoning_message',
          {
            source: event.is_native === false ? 'non_reasoner_model' : 'reasoner_model',
            reasoning: event.text,
            signature: null,
          },
          event.is_native === false ? 'written reasoning' : 'reasoning',
        )
      case 'hidden_reasoning': {
        const { state, data } = event
        return this.#delta(event, 'hidden_reasoning_message', { state, hidden_reasoning: data })
      }
      case 'tool_call_delta': {
        const speech = this.#speech(event)
        if (speech !== null) return speech
        const delta = { name: event.name, arguments: event.arguments, tool_call_id: event.tool_call_id }
        // V1 puts the same single object in both fields of a streamed delta; clients rely on it.
        if (!event.waits)
          return this.#delta(event, 'tool_call_message', { tool_call: delta, tool_calls: delta })
        this.#asked.add(event.tool_call_id)
        const otid = event.message_id
        return this.#delta(event, 'approval_request_message', { tool_call: delta, tool_calls: delta, otid })
      }
      case 'compaction_start':
        return this.#compaction(event)
      case 'message':
        return this.#message(event)
      case 'run_end':
        return this.#end(event)
    }
  }

  /** What a delta of a call of the speaking tool says (reference 6.3); null for other calls. */
  #speech(event: Extract<AgentEvent, { type: 'tool_call_delta' }>): string | null {
    const { tool_call_id: id } = event
    const { speaking } = this.#options
    if (event.name !== null && speaks(speaking, event.name))
      this.#speeches.set(id, {
        text: new ArgumentStream([speaking.assistant_message_tool_kwarg]),
        begun: false,
      })
    const speech = this.#speeches.get(id)
    if (!speech) return null
    const content = speech.text
      .push(event.arguments)
      .taken.map((part) => part.text)
      .join('')
    if (content === '') return ''
    speech.begun = true
    return this.#delta(event, 'assistant_message', { content }, `said by ${id}`)
  }

  #delta(
    event: { message_id: string; step_id: string },
    message_type: MessageType,
    fields: Record<string, unknown>,
    part: string = message_type,
  ): string {
    const index = this.#part(part)
    if (this.#wanted && !this.#wanted.has(message_type)) return ''
    return this.#write({
      id: event.message_id,
      date: this.#date,
      name: null,
      otid: partOtid(event.message_id, index),
      sender_id: null,
      step_id: event.step_id,
      run_id: this.#run_id,
      seq_id: this.#nextSeq(),
      message_type,
      ...fields,
    })
  }

  #nextSeq(): number | null {
    return this.#seq === null ? null : this.#seq++
  }

  #part(name: string): number {
    const index = this.#parts.indexOf(name)
    return index < 0 ? this.#parts.push(name) - 1 : index
  }

  #message({ message }: Extract<AgentEvent, { type: 'message' }>): string {
    return onlyTypes(this.#items(message), this.#options.types)
      .map((item) => this.#write({ ...item, seq_id: this.#nextSeq() }))
      .join('')
  }

  #compaction(event: Extract<AgentEvent, { type: 'compaction_start' }>): string {
    if (!this.#options.speaking.include_compaction_messages) return ''
    return onlyTypes([compactionEvent({ ...event, date: wireDate(event.date) })], this.#options.types)
      .map((item) => this.#write({ ...item, seq_id: this.#nextSeq() }))
      .join('')
  }

  #items(message: StoredMessage): LettaMessage[] {
    const { speaking, stream_tokens } = this.#options
    // What the program says to the model between two steps (heartbeats) is in history only.
    if (message.role === 'user') return []
    // The event was sent when it began.
    if (message.role === 'summary')
      return toLettaMessages(message, speaking).filter((item) => item.message_type !== 'event_message')
    if (!stream_tokens) return toLettaMessages(message, speaking)
    if (message.role === 'assistant') return this.#unspoken(message)
    if (message.role === 'approval' && message.tool_calls.every((call) => this.#asked.has(call.id))) return []
    if (message.role !== 'tool') return toLettaMessages(message, speaking)
    const shown = message.tool_returns.filter((result) => !isSent(speaking, result))
    if (shown.length === 0) return []
    return [{ ...commonFields(message, partOtid(message.id, 0)), ...toolReturnFields(shown) }]
  }

  /** Calls of the speaking tool whose arguments say nothing: their deltas were held back, so they are sent whole. */
  #unspoken(message: StoredMessage): LettaMessage[] {
    const tool_calls = message.tool_calls.filter((call) => this.#speeches.get(call.id)?.begun === false)
    if (tool_calls.length === 0) return []
    const otid = partOtid(message.id, this.#part('unspoken'))
    return toLettaMessages({ ...message, content: [], tool_calls }, this.#options.speaking).map((item) => ({
      ...item,
      otid,
    }))
  }

  #end({ result }: Extract<AgentEvent, { type: 'run_end' }>): string {
    return encodeEnd({ ...result, error: result.error ?? null }, null)
  }
}

/** How a run ended, as the last items of its stream say it; numbered from `seq` on in a stream that is stored. */
export function encodeEnd(
  end: Pick<TurnResult, 'run_id' | 'status' | 'stop_reason' | 'usage'> & { error: TurnError | null },
  seq: number | null,
): string {
  const { run_id, error } = end
  const place = (offset: number) => (seq === null ? {} : { run_id, seq_id: seq + offset })
  const stop = encodeData({ message_type: 'stop_reason', stop_reason: end.stop_reason, ...place(0) })
  if (error) return stop + encodeFailure(run_id, error, place(1))
  const usage = end.status === 'cancelled' ? '' : encodeData({ ...end.usage, ...place(1) })
  return stop + usage + 'data: [DONE]\n\n'
}

/** The first item of a stream that is kept alive by pings, and what is sent in silence. */
export function encodePing(run_id: string): string {
  return encodeItem(ping(run_id))
}

function ping(run_id: string, text?: string): StreamItem {
  const date = wireDate(new Date().toISOString())
  const item = {
    message_type: 'ping' as const,
    id: `ping-${crypto.randomUUID()}`,
    date,
    run_id,
    seq_id: null,
  }
  return text === undefined ? item : { ...item, text }
}

function encodeItem(item: StreamItem): string {
  return encodeData(item)
}

function encodeData(item: object): string {
  return `data: ${JSON.stringify(item)}\n\n`
}

/** The end of a stream that failed. */
export function encodeFailure(run_id: string, error: TurnError, place: { seq_id?: number } = {}): string {
  const item: StreamItem = {
    message_type: 'error_message',
    run_id,
    error_type: error.type,
    message: error.message,
    detail: error.detail,
    ...place,
  }
  return `${encodeEvent({ event: 'error', data: JSON.stringify(item) })}data: [DONE]\n\n`
}

/** Tells who reads the stream that the server stops before the run ends, and where there is more; not the end of the run. */
export function encodeLeft(run_id: string, read_to: number): string {
  const item: StreamItem = {
    message_type: 'error_message',
    run_id,
    error_type: 'internal_error',
    message:
      `this server is shutting down; run ${run_id} is left to another one, or to the next start, which goes on with ` +
      `it: read the rest from /v1/runs/${run_id}/stream with starting_after ${read_to}`,
    detail: HANDED_OVER,
  }
  return encodeEvent({ event: 'error', data: JSON.stringify(item) })
}

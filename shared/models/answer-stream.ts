import type { IncomingMessage } from 'node:http'
import type { ModelEvent } from '../core/ports/models.ts'
import type { Json } from './json.ts'
import { cutOffError, garbageError, streamedFailure, tooLongError } from './model-errors.ts'
import type { Failure, Place } from './model-errors.ts'
import { SseReader } from './sse.ts'
import { readText } from './transport.ts'

/** Turns what a provider sends, in whatever state it is, into model events. One for each answer. */
export interface AnswerDecoder {
  /** What a whole answer is called in this protocol, with its article. */
  readonly name: string
  /** Something that counts as an answer was said. */
  readonly spoke: boolean
  /** The model said why it stopped. */
  readonly finished: boolean
  /** Nothing more will come, whether or not the stream has ended. */
  readonly ended: boolean
  /** The error that this chunk is; null when it is none. */
  errorOf(chunk: Json): unknown
  /** Appends the events of one chunk of a stream to `out`. */
  read(chunk: Json, out: ModelEvent[]): void
  /** The same for an answer that came in one piece; false when it is no such answer. */
  readWhole(body: Json, out: ModelEvent[]): boolean
  /** The last event. */
  finish(): ModelEvent & { type: 'finish' }
}

/** What the reader of an answer tells of its progress. */
export interface Listener {
  signal: AbortSignal
  /** The provider gave a sign of life. */
  heard(): void
  /** Headers of a good answer have come. */
  answered: boolean
  /** The answer is complete, whether or not its body has ended. */
  said_all: boolean
}

/** The provider broke off with an error of its own. */
export class StreamFailure extends Error {
  readonly failure: Failure
  constructor(failure: Failure) {
    super(failure.error.message)
    this.failure = failure
  }
}

/** Bytes of a stream, all its wrapping included; log probabilities have the most of it. */
const MAX_STREAM_BYTES = 512 * 1024 * 1024

/** Bytes of an answer in one piece. */
const MAX_WHOLE_BYTES = 16 * 1024 * 1024

/** The events of an answer with status 200, `finish` last. */
export async function* readAnswer(
  place: Place,
  incoming: IncomingMessage,
  call: Listener,
  decoder: AnswerDecoder,
  stream: boolean,
): AsyncGenerator<ModelEvent> {
  // Some servers ignore `stream` and answer in one piece.
  const whole = !stream || /\bjson\b/.test(incoming.headers['content-type'] ?? '')
  yield* whole ? readWhole(place, incoming, call, decoder) : readStream(place, incoming, call, decoder)
  yield decoder.finish()
}

async function* readWhole(
  place: Place,
  incoming: IncomingMessage,
  call: Listener,
  decoder: AnswerDecoder,
): AsyncGenerator<ModelEvent> {
  const text = await readText(incoming, MAX_WHOLE_BYTES + 1)
  call.answered = true
  if (Buffer.byteLength(text) > MAX_WHOLE_BYTES) throw tooLongError(place, MAX_WHOLE_BYTES)
  const body = parse(place, text, decoder)
  const error = decoder.errorOf(body)
  if (error) throw new StreamFailure(streamedFailure(place, error))
  const events: ModelEvent[] = []
  if (!decoder.readWhole(body, events)) throw garbageError(place, `JSON that is no ${decoder.name}`, text)
  yield* events
}

/** The events of an answer that is there already, `finish` last. Throws `AppError`. */
export function eventsOf(place: Place, body: Json, decoder: AnswerDecoder): ModelEvent[] {
  const error = decoder.errorOf(body)
  if (error) throw streamedFailure(place, error).error
  const events: ModelEvent[] = []
  if (!decoder.readWhole(body, events))
    throw garbageError(place, `JSON that is no ${decoder.name}`, JSON.stringify(body))
  return [...events, decoder.finish()]
}

async function* readStream(
  place: Place,
  incoming: IncomingMessage,
  call: Listener,
  decoder: AnswerDecoder,
): AsyncGenerator<ModelEvent> {
  if (/\bhtml\b/.test(incoming.headers['content-type'] ?? ''))
    parse(place, await readText(incoming, 64 * 1024), decoder)
  const reader = new SseReader()
  let done = false
  let chunks = 0
  let bytes_read = 0
  let sample = ''
  const take = function* (payloads: string[]): Generator<ModelEvent> {
    const events: ModelEvent[] = []
    for (const payload of payloads) {
      if (done || payload === '') continue
      if (payload === '[DONE]') {
        done = true
        continue
      }
      const chunk = parse(place, payload, decoder)
      const error = decoder.errorOf(chunk)
      if (error) throw new StreamFailure(streamedFailure(place, error))
      chunks++
      decoder.read(chunk, events)
      if (decoder.ended) done = true
      for (const event of events) {
        yield event
        if (call.signal.aborted) throw call.signal.reason
      }
      events.length = 0
    }
  }
  for await (const bytes of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    call.heard()
    bytes_read += bytes.length
    if (bytes_read > MAX_STREAM_BYTES) throw tooLongError(place, MAX_STREAM_BYTES)
    if (chunks === 0 && sample.length < 200) sample += bytes.toString('utf8', 0, 200)
    yield* take(pushed(reader, bytes, place))
    // What follows is of no interest, and some servers keep the connection open.
    if (done && !incoming.complete) break
  }
  call.said_all = done
  if (!done) yield* take(reader.end())
  if (chunks === 0 && !done && sample.trim() !== '') throw garbageError(place, 'no event stream', sample)
  if (!done && !decoder.finished) throw cutOffError(place)
  if (!decoder.spoke && !decoder.finished) throw garbageError(place, 'a stream that says nothing', sample)
}

function pushed(reader: SseReader, bytes: Buffer, place: Place): string[] {
  try {
    return reader.push(bytes)
  } catch (error) {
    if (error instanceof RangeError) throw garbageError(place, error.message, '')
    throw error
  }
}

function parse(place: Place, text: string, decoder: AnswerDecoder): Json {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    const html = /^\s*</.test(text)
    throw garbageError(place, html ? 'an HTML page instead of JSON' : 'something that is not JSON', text)
  }
  if (typeof value === 'object' && value !== null) return value as Json
  throw garbageError(place, `JSON that is no ${decoder.name}`, text)
}

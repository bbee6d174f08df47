import type { IncomingMessage } from 'node:http'
import type { LanguageModel, ModelEvent } from '../core/ports/models.ts'
import { isAppError } from '../schema/errors.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { AnswerReader } from './openai-answer.ts'
import { clientFor } from './openai-client.ts'
import {
  cancelledError,
  connectionFailure,
  cutOffError,
  displayUrl,
  garbageError,
  statusFailure,
  streamedError,
  timeoutError,
} from './openai-errors.ts'
import type { Failure, Place } from './openai-errors.ts'
import { toChatBody } from './openai-request.ts'
import { isLocal } from './providers.ts'
import { SseReader } from './sse.ts'
import { readText } from './transport.ts'

/** How often, and after how long, a request that failed before its first piece is sent again. */
export interface RetryPolicy {
  /** Attempts in all. */
  tries: number
  /** Wait before the second attempt; doubles, with jitter. */
  first_wait_ms: number
  /** A provider that asks for a longer wait than this is not asked again. */
  max_wait_ms: number
}

const RETRY: RetryPolicy = { tries: 3, first_wait_ms: 500, max_wait_ms: 20_000 }
interface Limits {
  connect_ms: number
  first_token_ms: number
  between_tokens_ms: number
}

const HOSTED: Limits = {
  connect_ms: 10_000,
  first_token_ms: 600_000,
  between_tokens_ms: 180_000,
}
/** A local model may first have to be read from disk, and then works through a long prompt on a CPU. */
const LOCAL: Limits = {
  connect_ms: 5000,
  first_token_ms: 1_800_000,
  between_tokens_ms: 600_000,
}

/**
 * A model behind any endpoint that speaks OpenAI's chat completions. One keep-alive client per provider object; the
 * package `openai` is loaded by the first request. `generate` throws as its port says; what it read of a provider's
 * error is repeated in the text, the key never.
 */
export function createOpenAiModel(
  provider: ProviderConfig,
  model: Model,
  options: { retry?: Partial<RetryPolicy> } = {},
): LanguageModel {
  const limits = limitsOf(provider)
  const retry = { ...RETRY, ...options.retry }
  const client = clientFor(provider, model, limits.connect_ms)
  const place: Place = { provider, url: displayUrl(client.url) }

  return {
    async *generate(request, { signal, stream }) {
      const body = toChatBody(request, provider, model, stream)
      for (let attempt = 1; ; attempt++) {
        if (signal.aborted) throw cancelledError(place)
        const call = new Call(place, limits, signal)
        try {
          const incoming = await call.open(client.post(body, call.signal))
          if (incoming.statusCode !== 200) throw await refusal(place, incoming)
          yield* read(place, incoming, call, stream)
          return
        } catch (thrown) {
          const failure = call.failure(thrown)
          const wait = failure.retry && attempt < retry.tries ? waitOf(failure, attempt, retry) : null
          if (wait === null) throw failure.error
          await pause(wait, signal, place)
        } finally {
          call.close()
        }
      }
    },
  }
}

function limitsOf(provider: ProviderConfig): Limits {
  const limits = isLocal(provider) ? LOCAL : HOSTED
  const own = provider.timeouts
  return {
    connect_ms: own?.connect_ms ?? limits.connect_ms,
    first_token_ms: own?.first_token_ms ?? limits.first_token_ms,
    between_tokens_ms: own?.between_tokens_ms ?? limits.between_tokens_ms,
  }
}

/** One attempt: its abort signal, its clock, and what its failure means. */
class Call {
  readonly #controller = new AbortController()
  readonly #place: Place
  readonly #limits: Limits
  readonly #outer: AbortSignal
  readonly #cancel = () => this.#controller.abort(cancelledError(this.#place))
  #timer: NodeJS.Timeout
  #incoming: IncomingMessage | undefined
  /** Headers of a good answer have come. */
  answered = false
  /** The answer is complete, whether or not its body has ended. */
  said_all = false

  constructor(place: Place, limits: Limits, outer: AbortSignal) {
    this.#place = place
    this.#limits = limits
    this.#outer = outer
    outer.addEventListener('abort', this.#cancel, { once: true })
    this.#timer = this.#silence(limits.first_token_ms, 'first')
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Rejects with the reason as soon as the call is aborted, whatever the connection does. */
  async open(answer: Promise<IncomingMessage>): Promise<IncomingMessage> {
    const { promise, reject } = Promise.withResolvers<never>()
    const abort = () => reject(this.signal.reason as Error)
    this.signal.addEventListener('abort', abort, { once: true })
    try {
      return (this.#incoming = await Promise.race([answer, promise]))
    } finally {
      this.signal.removeEventListener('abort', abort)
    }
  }

  /** The provider gave a sign of life. */
  heard(): void {
    if (this.answered) {
      this.#timer.refresh()
      return
    }
    this.answered = true
    clearTimeout(this.#timer)
    this.#timer = this.#silence(this.#limits.between_tokens_ms, 'next')
  }

  failure(thrown: unknown): Failure {
    const final = { retry: false, retry_after_ms: null }
    if (this.signal.aborted && isAppError(this.signal.reason)) return { ...final, error: this.signal.reason }
    if (thrown instanceof Refusal) return thrown.failure
    if (isAppError(thrown)) return { ...final, error: thrown }
    return connectionFailure(this.#place, thrown, this.answered)
  }

  /** Frees the connection; one that was read to its end goes back to the pool. */
  close(): void {
    clearTimeout(this.#timer)
    this.#outer.removeEventListener('abort', this.#cancel)
    const incoming = this.#incoming
    if (!incoming || !(incoming.complete || this.said_all)) {
      this.#controller.abort()
      return
    }
    if (incoming.readableEnded) return
    // Only the end of the body is missing: it gets a moment, so that the connection can be used again.
    const timer = setTimeout(() => this.#controller.abort(), 1000)
    incoming.once('close', () => clearTimeout(timer))
    incoming.on('error', () => clearTimeout(timer))
    incoming.resume()
  }

  #silence(ms: number, phase: 'first' | 'next'): NodeJS.Timeout {
    return setTimeout(() => this.#controller.abort(timeoutError(this.#place, ms, phase)), ms)
  }
}

class Refusal extends Error {
  readonly failure: Failure
  constructor(failure: Failure) {
    super(failure.error.message)
    this.failure = failure
  }
}

async function refusal(place: Place, incoming: IncomingMessage): Promise<Refusal> {
  const body = await readText(incoming, 64 * 1024)
  return new Refusal(statusFailure(place, incoming.statusCode ?? 0, incoming.headers, body))
}

type Chunk = Record<string, unknown>

async function* read(
  place: Place,
  incoming: IncomingMessage,
  call: Call,
  stream: boolean,
): AsyncGenerator<ModelEvent> {
  const answer = new AnswerReader()
  // Some servers ignore `stream` and answer in one piece.
  const whole = !stream || /\bjson\b/.test(incoming.headers['content-type'] ?? '')
  yield* whole ? readWhole(place, incoming, call, answer) : readStream(place, incoming, call, answer)
  yield answer.finish()
}

async function* readWhole(
  place: Place,
  incoming: IncomingMessage,
  call: Call,
  answer: AnswerReader,
): AsyncGenerator<ModelEvent> {
  const text = await readText(incoming)
  call.answered = true
  const body = parse(place, text)
  if (body.error) throw streamedError(place, body.error)
  if (!isCompletion(body)) throw garbageError(place, 'JSON that is no chat completion', text)
  const events: ModelEvent[] = []
  answer.read(body, events)
  yield* events
}

/** `choices[0].message` with content that is text, parts or nothing, and calls that are a list. */
function isCompletion(body: Chunk): boolean {
  const choice = Array.isArray(body.choices) ? (body.choices[0] as Chunk | null | undefined) : undefined
  const message = choice?.message
  if (typeof message !== 'object' || message === null) return false
  const { content, tool_calls } = message as Chunk
  const known = ['content', 'tool_calls', 'refusal', 'reasoning', 'reasoning_content', 'role'].some(
    (key) => key in message,
  )
  return (
    known &&
    (content == null || typeof content === 'string' || Array.isArray(content)) &&
    (tool_calls == null || Array.isArray(tool_calls))
  )
}

async function* readStream(
  place: Place,
  incoming: IncomingMessage,
  call: Call,
  answer: AnswerReader,
): AsyncGenerator<ModelEvent> {
  if (/\bhtml\b/.test(incoming.headers['content-type'] ?? ''))
    parse(place, await readText(incoming, 64 * 1024))
  const reader = new SseReader()
  let done = false
  let chunks = 0
  let sample = ''
  const take = function* (payloads: string[]): Generator<ModelEvent> {
    const events: ModelEvent[] = []
    for (const payload of payloads) {
      if (done || payload === '') continue
      if (payload === '[DONE]') {
        done = true
        continue
      }
      const chunk = parse(place, payload)
      if (chunk.error) throw streamedError(place, chunk.error)
      chunks++
      answer.read(chunk, events)
      for (const event of events) {
        yield event
        if (call.signal.aborted) throw call.signal.reason
      }
      events.length = 0
    }
  }
  for await (const bytes of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    call.heard()
    if (chunks === 0 && sample.length < 200) sample += bytes.toString('utf8', 0, 200)
    yield* take(reader.push(bytes))
    // What follows is of no interest, and some servers keep the connection open.
    if (done && !incoming.complete) break
  }
  call.said_all = done
  if (!done) yield* take(reader.end())
  if (chunks === 0 && !done && sample.trim() !== '') throw garbageError(place, 'no event stream', sample)
  if (!done && !answer.finished) throw cutOffError(place)
  if (!answer.spoke && !answer.finished) throw garbageError(place, 'a stream that says nothing', sample)
}

function parse(place: Place, text: string): Chunk {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    const html = /^\s*</.test(text)
    throw garbageError(place, html ? 'an HTML page instead of JSON' : 'something that is not JSON', text)
  }
  if (typeof value === 'object' && value !== null) return value as Chunk
  throw garbageError(place, 'JSON that is no chat completion', text)
}

function waitOf(failure: Failure, attempt: number, retry: RetryPolicy): number | null {
  if (failure.retry_after_ms !== null) {
    return failure.retry_after_ms <= retry.max_wait_ms ? failure.retry_after_ms : null
  }
  const wait = retry.first_wait_ms * 2 ** (attempt - 1)
  return Math.min(retry.max_wait_ms, wait * (0.75 + Math.random() / 2))
}

function pause(ms: number, signal: AbortSignal, place: Place): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(cancelledError(place))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal.addEventListener('abort', abort, { once: true })
  })
}

import type { IncomingMessage } from 'node:http'
import type { ModelEvent } from '../core/ports/models.ts'
import { isAppError } from '../schema/errors.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { type AnswerDecoder, readAnswer, StreamFailure } from './answer-stream.ts'
import {
  cancelledError,
  connectionFailure,
  garbageError,
  statusFailure,
  timeoutError,
  tooLongError,
} from './model-errors.ts'
import type { Failure, Place } from './model-errors.ts'
import { isLocal } from './providers.ts'
import { readText } from './transport.ts'

/** How often, and after how long, a request that failed before its first piece is sent again. */
export interface RetryPolicy {
  /** Attempts in all. */
  tries: number
  /** The same for a provider that is overloaded or limits the rate. */
  overload_tries: number
  /** Wait before the second attempt; doubles, with jitter. */
  first_wait_ms: number
  /** A provider that asks for a longer wait than this is not asked again. */
  max_wait_ms: number
  /** All waits together are no longer than this. */
  patience_ms: number
}

/** An overload is waited out for a minute (half a second, one, two … 32), or as the provider asks: limits per minute pass. */
const RETRY: RetryPolicy = {
  tries: 3,
  overload_tries: 8,
  first_wait_ms: 500,
  max_wait_ms: 60_000,
  patience_ms: 90_000,
}

/** Where another model stands by, waiting is its work. */
const HASTY: Pick<RetryPolicy, 'overload_tries' | 'max_wait_ms'> = { overload_tries: 2, max_wait_ms: 2000 }

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

/** Characters that one answer may have: several times what any model says, and little enough to keep. */
const MAX_ANSWER_CHARS = 8 * 1024 * 1024

/** One way to speak with a provider: how a request is sent, and how its answer is read. */
export interface Dialect {
  /** Sends the request; resolves with the headers, whatever the status. The signal reaches into the body. */
  post(signal: AbortSignal): Promise<IncomingMessage>
  /** A fresh one for each attempt. */
  decoder(): AnswerDecoder
}

/**
 * Asks a model once, with the limits of its provider; repeated while nothing was said and the failure is one that
 * passes. Throws as `LanguageModel.generate` promises.
 */
export async function* askModel(
  place: Place,
  dialect: Dialect,
  options: { signal: AbortSignal; stream: boolean; fail_fast?: boolean; retry?: Partial<RetryPolicy> },
): AsyncGenerator<ModelEvent> {
  const { signal, stream } = options
  const limits = limitsOf(place.provider)
  const retry = { ...RETRY, ...options.retry, ...(options.fail_fast ? HASTY : {}) }
  let said = 0
  let waited = 0
  for (let attempt = 1; ; attempt++) {
    if (signal.aborted) throw cancelledError(place)
    const call = new Call(place, limits, signal)
    try {
      const incoming = await call.open(dialect.post(call.signal))
      if (incoming.statusCode !== 200) throw await refusal(place, incoming)
      for await (const event of readAnswer(place, incoming, call, dialect.decoder(), stream)) {
        said += lengthOf(event)
        if (said > MAX_ANSWER_CHARS) throw tooLongError(place, MAX_ANSWER_CHARS)
        yield event
      }
      return
    } catch (thrown) {
      const failure = call.failure(thrown)
      const tries = failure.overload ? retry.overload_tries : retry.tries
      const wait = failure.retry && said === 0 && attempt < tries ? waitOf(failure, attempt, retry) : null
      if (wait === null || (waited += wait) > retry.patience_ms) throw failure.error
      await pause(wait, signal, place)
    } finally {
      call.close()
    }
  }
}

/**
 * Asks for one JSON value, with the limits of the provider; repeated while the failure is one that passes. Throws as
 * `Embedder.embed` promises.
 */
export function askForJson(
  place: Place,
  post: Dialect['post'],
  options: { signal: AbortSignal; retry?: Partial<RetryPolicy> },
): Promise<unknown> {
  return askFor(place, post, options, (text) => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      throw garbageError(place, 'something that is not JSON', text)
    }
  })
}

/** The same for text; one of more than `max_bytes` is refused. */
export function askForText(
  place: Place,
  post: Dialect['post'],
  options: { signal: AbortSignal; max_bytes: number },
): Promise<string> {
  return askFor(place, post, options, (text) => {
    if (text.length >= options.max_bytes) throw tooLongError(place, options.max_bytes)
    return text
  })
}

async function askFor<T>(
  place: Place,
  post: Dialect['post'],
  options: { signal: AbortSignal; retry?: Partial<RetryPolicy>; max_bytes?: number },
  read: (text: string) => T,
): Promise<T> {
  const { signal } = options
  const retry = { ...RETRY, ...options.retry }
  let waited = 0
  for (let attempt = 1; ; attempt++) {
    if (signal.aborted) throw cancelledError(place)
    const call = new Call(place, limitsOf(place.provider), signal)
    try {
      const incoming = await call.open(post(call.signal))
      const { statusCode = 0 } = incoming
      if (statusCode < 200 || statusCode > 299) throw await refusal(place, incoming)
      const text = await readText(incoming, options.max_bytes)
      call.said_all = true
      return read(text)
    } catch (thrown) {
      const failure = call.failure(thrown)
      const tries = failure.overload ? retry.overload_tries : retry.tries
      const wait = failure.retry && attempt < tries ? waitOf(failure, attempt, retry) : null
      if (wait === null || (waited += wait) > retry.patience_ms) throw failure.error
      await pause(wait, signal, place)
    } finally {
      call.close()
    }
  }
}

function lengthOf(event: ModelEvent): number {
  switch (event.type) {
    case 'text':
    case 'reasoning':
      return event.text.length + (event.type === 'reasoning' ? (event.signature?.length ?? 0) : 0)
    case 'redacted_reasoning':
      return event.data.length
    case 'tool_call':
      return event.arguments.length + 1
    default:
      return 0
  }
}

/** How long this provider may be silent; `timeouts` in its configuration override the defaults. */
export function limitsOf(provider: ProviderConfig): Limits {
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
    const final = { retry: false, overload: false, retry_after_ms: null }
    if (this.signal.aborted && isAppError(this.signal.reason)) return { ...final, error: this.signal.reason }
    if (thrown instanceof Refusal || thrown instanceof StreamFailure) return thrown.failure
    if (isAppError(thrown)) return { ...final, error: thrown }
    const began = this.#incoming !== undefined
    return connectionFailure(this.#place, thrown, { began, retry: !this.answered })
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

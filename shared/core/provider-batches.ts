import { AppError, isAppError, messageOf } from '../schema/errors.ts'
import type { Actor } from './ports/actor.ts'
import type { BatchStore } from './ports/batch-store.ts'
import type { LanguageModel, ModelEvent, ModelRequest, Models, ResolvedModel } from './ports/models.ts'
import type {
  BatchCalls,
  BatchedTurn,
  CallOutcome,
  ProviderBatching,
  ProviderCallStore,
} from './ports/provider-batches.ts'
import { orAbort } from './turn/or-abort.ts'

/** How long a provider that has no batches is not asked again, in milliseconds. */
const WITHOUT_MS = 10 * 60_000
/** Providers end a batch within a day; this long after the first look it is given up, in milliseconds. */
const PATIENCE_MS = 48 * 3_600_000
/** Characters of the calls of one batch: what every provider takes. */
const MAX_CHARS = 32 * 1024 * 1024
/** How long what is being sent is waited for at the end, in milliseconds. */
const SENDING_MS = 5000
/** How long a provider may take to cancel a batch, in milliseconds. */
const CANCEL_MS = 10_000
/** How often results that nobody can read are asked for again. */
const MAX_UNREADABLE = 5
/** How much longer each wait for an answer is than the one before. */
const GROWTH = 1.5

/** How calls are collected and their answers waited for. */
export interface ProviderBatchOptions {
  /** Calls wait this long for others to be sent with them, and at most five times as long. */
  collect_ms: number
  /** Before the first look; each later wait is half as long again, up to `max_poll_ms`. */
  first_poll_ms: number
  max_poll_ms: number
  /** Calls of turns whose provider has no batches, at once. */
  local_at_once: number
}

interface Deps {
  calls: ProviderCallStore
  batches: Pick<BatchStore, 'askedLocally'>
  models: Models
}

/** `local`: why the model itself is to be asked. */
type Answer = { custom_id: string; events: ModelEvent[] } | { local: string }

/** A turn that waits for an answer. */
interface Waiter {
  custom_id: string
  resolve(answer: Answer): void
  reject(error: unknown): void
  /** Has given up, or was answered. */
  gone: boolean
}

interface Unsent extends Waiter {
  body: string
}

/** Calls that will be sent together. */
interface Collection {
  calls: BatchCalls
  waiting: Unsent[]
  since: number
  timer: NodeJS.Timeout
}

/** A batch at a provider in which turns of this process wait. */
interface Watched {
  id: string
  calls: BatchCalls
  waiters: Map<string, Waiter>
}

/** Sends model calls in batches of their providers, and gives the answers to the turns that wait for them. */
export class ProviderBatches implements ProviderBatching {
  readonly #deps: Deps
  readonly #options: ProviderBatchOptions
  readonly #onFailure: (where: string, error: unknown) => void
  readonly #collections = new Map<string, Collection>()
  readonly #watched = new Map<string, Watched>()
  /** Runs of this process that wait. */
  readonly #waiting = new Set<string>()
  /** Places without batches, why, and until when that is believed (`performance.now()`). */
  readonly #without = new Map<string, { why: string; until: number }>()
  readonly #sending = new Set<Promise<void>>()
  #closed = false
  readonly #closing = new AbortController()
  readonly #local: Slots

  /** `onFailure` hears of what does not end a turn; it must not throw. */
  constructor(deps: Deps, options: ProviderBatchOptions, onFailure: (where: string, error: unknown) => void) {
    this.#deps = deps
    this.#options = options
    this.#onFailure = onFailure
    this.#local = new Slots(options.local_at_once)
  }

  modelFor(model: ResolvedModel, calls: BatchCalls | undefined, turn: BatchedTurn): ResolvedModel {
    const handle = model.handle
    const taken = new Set<string>()
    return new BatchedModel(model, async (request, signal) => {
      const local = calls ? this.#reasonAgainst(calls) : `The provider of ${handle} has no batches.`
      const answer =
        calls && local === null ? await this.#ask(calls, handle, turn, request, signal, taken) : { local }
      if ('events' in answer) return { events: answer.events }
      await this.#deps.batches.askedLocally(turn.actor, turn.item_id, answer.local ?? '')
      return { slot: await this.#local.take(signal) }
    })
  }

  waits(run_id: string): boolean {
    return this.#waiting.has(run_id)
  }

  async runEnded(actor: Actor, run_id: string): Promise<void> {
    try {
      for (const { provider_batch_id, handle } of await this.#deps.calls.runEnded(actor, run_id)) {
        const { batch_calls } = await this.#deps.models.resolve(actor, handle)
        if (batch_calls) await this.#cancel(batch_calls, provider_batch_id)
      }
    } catch (error) {
      this.#onFailure(`cancelling what run ${run_id} waited for at its provider`, error)
    }
  }

  async close(): Promise<void> {
    for (const { timer } of this.#collections.values()) clearTimeout(timer)
    this.#closed = true
    // What is on its way would be sent, and paid for, again if nobody heard that it has arrived.
    const over = new AbortController()
    const sent = Promise.all(this.#sending).then(() => over.abort())
    await Promise.race([sent, pause(SENDING_MS, over.signal)])
    this.#closing.abort(new AppError('cancelled', 'this server is shutting down'))
  }

  #reasonAgainst({ place }: BatchCalls): string | null {
    const known = this.#without.get(place)
    return known && known.until > performance.now() ? known.why : null
  }

  async #ask(
    calls: BatchCalls,
    handle: string,
    turn: BatchedTurn,
    request: ModelRequest,
    signal: AbortSignal,
    taken: Set<string>,
  ): Promise<Answer> {
    const { actor, run_id } = turn
    const { body, request_hash } = await calls.prepare(request)
    const known = await this.#deps.calls.find(actor, run_id, request_hash)
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const waiter: Waiter = { custom_id: '', resolve, reject, gone: false }
    // A turn that has given up hears of nothing more.
    promise.catch(() => undefined)
    this.#waiting.add(run_id)
    try {
      if (known && !taken.has(known.custom_id)) {
        // A process that is gone has sent it: its answer is paid for.
        waiter.custom_id = known.custom_id
        this.#watch(calls, known.provider_batch_id, [waiter], { now: true })
      } else {
        waiter.custom_id = `loci-${crypto.randomUUID()}`
        await this.#deps.calls.add(actor, { custom_id: waiter.custom_id, run_id, request_hash, handle })
        this.#collect(calls, Object.assign(waiter, { body }))
      }
      const answer = await orAbort(promise, signal).catch(async (error: unknown) => {
        // An error is an answer too.
        if (!signal.aborted) await this.#deps.calls.given(waiter.custom_id)
        throw error
      })
      if ('events' in answer) {
        taken.add(answer.custom_id)
        await this.#deps.calls.given(answer.custom_id)
      }
      return answer
    } finally {
      waiter.gone = true
      this.#waiting.delete(run_id)
    }
  }

  // ---- sending -----------------------------------------------------------------------------------------------

  #collect(calls: BatchCalls, call: Unsent): void {
    if (this.#closed) return
    const { collect_ms } = this.#options
    const now = performance.now()
    const known = this.#collections.get(calls.place)
    clearTimeout(known?.timer)
    const since = known?.since ?? now
    const wait = Math.max(0, Math.min(collect_ms, since + 5 * collect_ms - now))
    const timer = setTimeout(() => {
      this.#collections.delete(calls.place)
      const sending = this.#sendAll(collection).finally(() => this.#sending.delete(sending))
      this.#sending.add(sending)
    }, wait)
    const collection = { calls, waiting: [...(known?.waiting ?? []), call], since, timer }
    this.#collections.set(calls.place, collection)
  }

  /** Never rejects: who waits hears of it. */
  async #sendAll({ calls, waiting }: Collection): Promise<void> {
    let part: Unsent[] = []
    let chars = 0
    for (const call of waiting.filter(({ gone }) => !gone)) {
      if (part.length > 0 && chars + call.body.length > MAX_CHARS) {
        await this.#send(calls, part)
        part = []
        chars = 0
      }
      part.push(call)
      chars += call.body.length
    }
    if (part.length > 0) await this.#send(calls, part)
  }

  async #send(calls: BatchCalls, waiting: Unsent[]): Promise<void> {
    const ids = waiting.map(({ custom_id }) => custom_id)
    const { signal } = this.#closing
    try {
      let batch_id: string
      try {
        batch_id = await calls.submit(waiting, { signal })
      } catch (error) {
        // Handed over with its turns: whether it has arrived, nobody knows.
        if (signal.aborted) return
        await this.#deps.calls.unsent(ids)
        const why = whyWithout(error)
        if (why === null) throw error
        this.#without.set(calls.place, { why, until: performance.now() + WITHOUT_MS })
        for (const call of waiting) call.resolve({ local: why })
        return
      }
      for (const call of waiting) call.body = ''
      const wanted = await this.#deps.calls.sent(ids, batch_id)
      if (wanted) this.#watch(calls, batch_id, waiting, { now: false })
      else await this.#cancel(calls, batch_id)
    } catch (error) {
      for (const call of waiting) call.reject(error)
    }
  }

  async #cancel(calls: BatchCalls, batch_id: string): Promise<void> {
    try {
      await calls.cancel(batch_id, { signal: AbortSignal.timeout(CANCEL_MS) })
    } catch (error) {
      // It has ended already, or its provider knows no cancelling.
      if (!isAppError(error, 'llm_bad_request')) this.#onFailure(`cancelling batch ${batch_id}`, error)
    }
  }

  // ---- waiting -----------------------------------------------------------------------------------------------

  #watch(calls: BatchCalls, id: string, waiters: readonly Waiter[], { now }: { now: boolean }): void {
    const key = `${calls.place} ${id}`
    const known = this.#watched.get(key)
    const watched = known ?? { id, calls, waiters: new Map<string, Waiter>() }
    for (const waiter of waiters) watched.waiters.set(waiter.custom_id, waiter)
    if (known) return
    this.#watched.set(key, watched)
    void this.#follow(watched, key, now ? 0 : this.#options.first_poll_ms).catch((error: unknown) => {
      this.#watched.delete(key)
      for (const waiter of watched.waiters.values()) waiter.reject(error)
    })
  }

  /** Looks until the batch has ended, or nobody here waits for it any more. */
  async #follow(watched: Watched, key: string, first_ms: number): Promise<void> {
    const { calls, id, waiters } = watched
    const { signal } = this.#closing
    const end = performance.now() + PATIENCE_MS
    let next = this.#options.first_poll_ms
    let unreadable = 0
    for (let wait = first_ms; ; wait = next) {
      await pause(wait, signal)
      if (signal.aborted) return
      if (wait > 0) next = Math.min(this.#options.max_poll_ms, next * GROWTH)
      for (const [custom_id, waiter] of waiters) if (waiter.gone) waiters.delete(custom_id)
      if (waiters.size === 0) {
        this.#watched.delete(key)
        return
      }
      const ended = await calls.poll(id, { signal }).catch((error: unknown) => {
        if (signal.aborted) return null
        const refused = isAppError(error, 'llm_authentication') || isAppError(error, 'llm_bad_request')
        if (isAppError(error, 'llm_error') && error.data['status'] === undefined) unreadable++
        // Everything else passes; the answers stay where they are.
        if (refused || unreadable >= MAX_UNREADABLE || !isAppError(error) || performance.now() > end)
          throw error
        return null
      })
      if (ended) {
        this.#watched.delete(key)
        for (const [custom_id, waiter] of waiters)
          give(waiter, ended.outcomes.get(custom_id) ?? { error: unanswered(id, ended.end) })
        return
      }
      if (performance.now() > end)
        throw unanswered(id, `it has not ended in ${PATIENCE_MS / 3_600_000} hours`)
    }
  }
}

function give(waiter: Waiter, outcome: CallOutcome): void {
  if ('error' in outcome) waiter.reject(outcome.error)
  else waiter.resolve({ custom_id: waiter.custom_id, events: outcome.events })
}

function unanswered(id: string, end: string): AppError {
  return new AppError(
    'llm_error',
    `The provider's batch ${id} has no answer to this request: ${end}. Send it again.`,
  )
}

/** Why there are no batches, when that is what the provider says. */
function whyWithout(error: unknown): string | null {
  const status = isAppError(error) ? error.data['status'] : undefined
  return status === 404 || status === 405 || status === 501 ? messageOf(error) : null
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
  })
}

/** The whole answer, or that the model itself may be asked until `slot` is called. */
type Found = { events: ModelEvent[] } | { slot: () => void }

/** Has no price while its answers come from batches: what those cost, no list of a provider says. */
class BatchedModel implements ResolvedModel {
  readonly language_model: LanguageModel
  readonly #model: ResolvedModel
  #asked = false

  constructor(model: ResolvedModel, find: (request: ModelRequest, signal: AbortSignal) => Promise<Found>) {
    this.#model = model
    this.language_model = {
      generate: (request, options) => this.#generate(request, options, find),
    }
  }

  get handle() {
    return this.#model.handle
  }

  get info() {
    return this.#model.info
  }

  get price() {
    return this.#asked ? this.#model.price : undefined
  }

  get skipped() {
    return this.#model.skipped ?? []
  }

  async *#generate(
    request: ModelRequest,
    options: Parameters<LanguageModel['generate']>[1],
    find: (request: ModelRequest, signal: AbortSignal) => Promise<Found>,
  ): AsyncGenerator<ModelEvent> {
    const found = await find(request, options.signal)
    this.#asked = 'slot' in found
    if ('events' in found) {
      yield* found.events
      return
    }
    try {
      yield* this.#model.language_model.generate(request, options)
    } finally {
      found.slot()
    }
  }
}

/** Lets so many through at once, in their order. */
class Slots {
  #free: number
  readonly #queue: (() => void)[] = []

  constructor(at_once: number) {
    this.#free = at_once
  }

  /** Resolves with what gives the slot back. */
  async take(signal: AbortSignal): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#free > 0) {
      this.#free--
      resolve()
    } else this.#queue.push(resolve)
    try {
      await orAbort(promise, signal)
    } catch (error) {
      const place = this.#queue.indexOf(resolve)
      if (place < 0) this.#give()
      else this.#queue.splice(place, 1)
      throw error
    }
    return () => this.#give()
  }

  #give(): void {
    const next = this.#queue.shift()
    if (next) next()
    else this.#free++
  }
}

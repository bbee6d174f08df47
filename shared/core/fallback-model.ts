import { AppError, isAppError, messageOf } from '../schema/errors.ts'
import type { Actor } from './ports/actor.ts'
import type {
  LanguageModel,
  ModelEvent,
  ModelRequest,
  Models,
  ResolvedModel,
  SkippedModel,
} from './ports/models.ts'
import { orAbort } from './turn/or-abort.ts'

/** Failures that say nothing about the request: another model may well answer it. */
const PASSING = ['llm_rate_limit', 'llm_timeout', 'llm_connection', 'llm_error'] as const

/**
 * A model with others that stand by. When it cannot answer (rate limit, overload, server error, connection; never a bad
 * request), and nothing of its answer was passed on, the next one is asked in the same step and stays for the turn;
 * `handle` and `info` are those of the one that was asked last. One object belongs to one turn.
 */
export function withFallbacks(
  first: ResolvedModel,
  handles: readonly string[],
  models: Models,
  actor: Actor,
): ResolvedModel {
  const rest = handles.filter((handle, i) => handle !== first.handle && handles.indexOf(handle) === i)
  return rest.length === 0 ? first : new FallbackModel(first, rest, (handle) => models.resolve(actor, handle))
}

class FallbackModel implements ResolvedModel {
  readonly skipped: SkippedModel[] = []
  readonly language_model: LanguageModel
  #now: ResolvedModel
  readonly #rest: string[]
  readonly #resolve: (handle: string) => Promise<ResolvedModel>

  constructor(first: ResolvedModel, rest: string[], resolve: (handle: string) => Promise<ResolvedModel>) {
    this.#now = first
    this.#rest = rest
    this.#resolve = resolve
    this.language_model = { generate: (request, options) => this.#generate(request, options) }
  }

  get handle() {
    return this.#now.handle
  }

  get info() {
    return this.#now.info
  }

  get price() {
    return this.#now.price
  }

  async *#generate(
    request: ModelRequest,
    options: Parameters<LanguageModel['generate']>[1],
  ): AsyncGenerator<ModelEvent> {
    for (;;) {
      let passed = false
      const fail_fast = this.#rest.length > 0
      try {
        for await (const event of this.#now.language_model.generate(request, { ...options, fail_fast })) {
          passed = true
          yield event
        }
        return
      } catch (error) {
        const passing = isAppError(error) && PASSING.some((code) => code === error.code)
        if (passed || !passing || options.signal.aborted) throw error
        const from = this.handle
        const next = await this.#next(error, options.signal)
        if (!next) throw this.#allFailed(error)
        this.#now = next
        yield { type: 'fallback', from, to: next.handle, code: error.code, reason: error.message }
      }
    }
  }

  /** The next one that is there; null when there is none. */
  async #next(error: AppError, signal: AbortSignal): Promise<ResolvedModel | null> {
    this.skipped.push({ model: this.handle, code: error.code, message: error.message })
    for (let handle = this.#rest.shift(); handle !== undefined; handle = this.#rest.shift()) {
      try {
        return await orAbort(this.#resolve(handle), signal)
      } catch (failure) {
        if (signal.aborted) throw failure
        const code = isAppError(failure) ? failure.code : 'internal'
        this.skipped.push({ model: handle, code, message: messageOf(failure) })
      }
    }
    return null
  }

  #allFailed(last: AppError): AppError {
    const [first, ...others] = this.skipped
    if (!first || others.length === 0) return last
    const why = others.map(({ model, message }) => `${model}: ${message}`).join(' ')
    return new AppError(last.code, `${first.message} The fallback models could not answer either. ${why}`, {
      data: { ...last.data, skipped: this.skipped },
      cause: last,
    })
  }
}

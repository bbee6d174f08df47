import type { LanguageModel } from '../core/ports/models.ts'
import { isAppError } from '../schema/errors.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { askModel, limitsOf, type RetryPolicy } from './model-call.ts'
import { displayUrl, type Place } from './model-errors.ts'
import { clientFor } from './openai-client.ts'
import { ResponseDecoder } from './responses-answer.ts'
import { toResponseBody } from './responses-request.ts'

/**
 * A model behind OpenAI's Responses API, which keeps what a reasoning model thought between its tool calls. Nothing is
 * stored at the provider. `generate` throws as its port says.
 */
export function createResponsesModel(
  provider: ProviderConfig,
  model: Model,
  options: { retry?: Partial<RetryPolicy> } = {},
): LanguageModel {
  const client = clientFor(provider, model, limitsOf(provider).connect_ms)
  const place: Place = { provider, url: displayUrl(`${client.base}/responses`) }
  const ask: LanguageModel['generate'] = (request, { signal, stream, fail_fast = false }) => {
    const body = toResponseBody(request, model, { stream, ...allowed(provider) })
    const post = (inner: AbortSignal) =>
      client.post('/responses', JSON.stringify(body), { stream: body.stream === true, signal: inner })
    const dialect = { post, decoder: () => new ResponseDecoder() }
    return askModel(place, dialect, { signal, stream: body.stream === true, fail_fast, ...options })
  }
  return {
    async *generate(request, how) {
      for (;;) {
        let begun = false
        try {
          for await (const event of ask(request, how)) {
            begun = true
            yield event
          }
          return
        } catch (error) {
          if (begun || !learn(provider, error)) throw error
        }
      }
    },
    preview: async (request, { stream }) => ({
      ...toResponseBody(request, model, { stream, ...allowed(provider) }),
    }),
  }
}

/** What an account may not ask for; learned from refusals, for this process. */
interface Denied {
  summary?: true
  stream?: true
}

const denied = new WeakMap<ProviderConfig, Denied>()

function allowed(provider: ProviderConfig): { summary: boolean; may_stream: boolean } {
  const known = denied.get(provider)
  return { summary: !known?.summary, may_stream: !known?.stream }
}

/**
 * OpenAI shows summaries of thoughts, and streams its newest models, to verified organisations only: the others are asked
 * for less. True when there is something new to leave out.
 */
function learn(provider: ProviderConfig, error: unknown): boolean {
  if (!isAppError(error, 'llm_bad_request') || !/must be verified/i.test(error.message)) return false
  const known = denied.get(provider) ?? {}
  const what = /summar/i.test(error.message) ? 'summary' : /stream/i.test(error.message) ? 'stream' : null
  if (what === null || known[what]) return false
  denied.set(provider, { ...known, [what]: true })
  return true
}

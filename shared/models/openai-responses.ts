import type { LanguageModel } from '../core/ports/models.ts'
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
  return {
    generate(request, { signal, stream, fail_fast = false }) {
      const body = toResponseBody(request, model, stream)
      const post = (inner: AbortSignal) => client.post('/responses', { ...body }, inner)
      const dialect = { post, decoder: () => new ResponseDecoder() }
      return askModel(place, dialect, { signal, stream, fail_fast, ...options })
    },
    preview: async (request, { stream }) => ({ ...toResponseBody(request, model, stream) }),
  }
}

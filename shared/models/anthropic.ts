import type { LanguageModel } from '../core/ports/models.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { MessageDecoder } from './anthropic-answer.ts'
import { messagesClientFor } from './anthropic-client.ts'
import { toMessageBody } from './anthropic-request.ts'
import { askModel, limitsOf, type RetryPolicy } from './model-call.ts'
import { displayUrl, type Place } from './model-errors.ts'

/**
 * A model behind Anthropic's Messages API. One keep-alive client per provider object; the package `@anthropic-ai/sdk`
 * is loaded by the first request. `generate` throws as its port says.
 */
export function createAnthropicModel(
  provider: ProviderConfig,
  model: Model,
  options: { retry?: Partial<RetryPolicy> } = {},
): LanguageModel {
  const client = messagesClientFor(provider, limitsOf(provider).connect_ms)
  const place: Place = { provider, url: displayUrl(client.url) }
  return {
    generate(request, { signal, stream, fail_fast = false }) {
      const body = toMessageBody(request, model, stream)
      const post = (inner: AbortSignal) => client.post(body, inner)
      const dialect = { post, decoder: () => new MessageDecoder() }
      return askModel(place, dialect, { signal, stream, fail_fast, ...options })
    },
    preview: async (request, { stream }) => ({ ...toMessageBody(request, model, stream) }),
  }
}

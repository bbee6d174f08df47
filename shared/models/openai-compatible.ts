import type { LanguageModel } from '../core/ports/models.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { askModel, limitsOf, type RetryPolicy } from './model-call.ts'
import { displayUrl, type Place } from './model-errors.ts'
import { ChatDecoder } from './openai-answer.ts'
import { clientFor } from './openai-client.ts'
import { chatText, toChatBody } from './openai-request.ts'
import { withPossibleChoice } from './tool-choice.ts'

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
  const client = clientFor(provider, model, limitsOf(provider).connect_ms)
  const place: Place = { provider, url: displayUrl(`${client.base}/chat/completions`) }
  return withPossibleChoice(provider, model.name, {
    generate(request, { signal, stream, fail_fast = false }) {
      const body = chatText(toChatBody(request, provider, model, stream))
      const post = (inner: AbortSignal) => client.post('/chat/completions', body, { stream, signal: inner })
      return askModel(
        place,
        { post, decoder: () => new ChatDecoder() },
        { signal, stream, fail_fast, ...options },
      )
    },
    preview: async (request, { stream }) => ({ ...toChatBody(request, provider, model, stream) }),
  })
}

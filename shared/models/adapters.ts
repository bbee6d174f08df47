import type { LanguageModel } from '../core/ports/models.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { isOpenAiReasoner } from './known-models.ts'

type Api = NonNullable<ProviderConfig['api']>

/**
 * The protocol in which a model is asked: what `api` of its provider says, else Anthropic's own for Anthropic, Responses
 * for the models of OpenAI that reason, and chat completions, which everybody speaks, for all others.
 */
export function apiOf(provider: ProviderConfig, model: Model): Api {
  if (provider.api) return provider.api
  if (provider.provider_type === 'anthropic') return 'messages'
  const official = URL.parse(provider.base_url)?.hostname === 'api.openai.com'
  return official && isOpenAiReasoner(model.name) ? 'responses' : 'chat'
}

/** A model behind the adapter of its protocol, which its first request loads. */
export function createModel(provider: ProviderConfig, model: Model): LanguageModel {
  const api = apiOf(provider, model)
  let adapter: LanguageModel | undefined
  return {
    generate: (request, options) =>
      // Not through a generator of ours once it is there: that costs at each token.
      adapter?.generate(request, options) ??
      (async function* () {
        adapter = await load(api, provider, model)
        yield* adapter.generate(request, options)
      })(),
    async preview(request, options) {
      adapter ??= await load(api, provider, model)
      return (await adapter.preview?.(request, options)) ?? {}
    },
  }
}

async function load(api: Api, provider: ProviderConfig, model: Model): Promise<LanguageModel> {
  switch (api) {
    case 'messages':
      return (await import('./anthropic.ts')).createAnthropicModel(provider, model)
    case 'responses':
      return (await import('./openai-responses.ts')).createResponsesModel(provider, model)
    case 'chat':
      return (await import('./openai-compatible.ts')).createOpenAiModel(provider, model)
  }
}

/** Loads what the first request to these providers will need. */
export async function preloadAdapters(providers: readonly ProviderConfig[]): Promise<void> {
  const anthropic = providers.filter(({ api, provider_type }) => (api ?? provider_type) in MESSAGES)
  await Promise.all([
    ...(anthropic.length > 0 ? [import('./anthropic.ts'), import('@anthropic-ai/sdk')] : []),
    ...(anthropic.length < providers.length ? [import('./openai-compatible.ts'), import('openai')] : []),
  ])
}

const MESSAGES = { messages: true, anthropic: true }

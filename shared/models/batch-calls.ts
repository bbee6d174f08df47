import type { BatchCalls } from '../core/ports/provider-batches.ts'
import { WINDOW_HEADER } from '../schema/editor.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { apiOf } from './adapters.ts'

/**
 * The batch API of a model's provider, behind the adapter of its protocol, which the first call loads. Undefined for
 * what has none for sure: Ollama, LM Studio, an editor, and Azure, whose batches have deployments of their
 * own. The others say themselves whether they have one.
 */
export function createBatchCalls(provider: ProviderConfig, model: Model): BatchCalls | undefined {
  const is_editor = provider.headers?.[WINDOW_HEADER] !== undefined
  if (is_editor || WITHOUT.has(provider.provider_type)) return undefined
  const api = apiOf(provider, model)
  let loading: Promise<Omit<BatchCalls, 'place'>> | undefined
  const load = () =>
    (loading ??=
      api === 'messages'
        ? import('./anthropic-batches.ts').then((m) => m.createMessageBatches(provider, model))
        : import('./openai-batches.ts').then((m) => m.createOpenAiBatches(provider, model, api)))
  return {
    // Never leaves this process, so the key may be in it.
    place: JSON.stringify([api, provider.name, provider.base_url, provider.api_key ?? '']),
    prepare: async (request) => (await load()).prepare(request),
    submit: async (calls, options) => (await load()).submit(calls, options),
    poll: async (batch_id, options) => (await load()).poll(batch_id, options),
    cancel: async (batch_id, options) => (await load()).cancel(batch_id, options),
  }
}

const WITHOUT = new Set(['azure', 'ollama', 'lmstudio_openai'])

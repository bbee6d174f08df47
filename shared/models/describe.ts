import type { ModelPrice } from '../core/ports/models.ts'
import type { EndpointType, Model, ProviderType } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { anthropicThinking, knownModel } from './known-models.ts'
import { apiBase } from './providers.ts'

/** Context window of a model nobody knows (reference 2.7). */
const UNKNOWN_CONTEXT_WINDOW = 30_000

/** Tokens that Claude may think before it answers, where nobody says (V1's default). */
const DEFAULT_BUDGET = 1024

/** What a provider's list says about one model. */
export interface ListedModel {
  id: string
  display_name?: string | null
  context_window?: number | null
  max_output_tokens?: number | null
  compatibility_type?: 'gguf' | 'mlx' | null
  price?: ModelPrice | undefined
  /** Default: the provider's URL. */
  endpoint?: string | null
}

/** A whole V1 `Model` for a listed one; gaps are filled from the table of known models, else with V1's defaults. */
export function describeModel(provider: ProviderConfig, listed: ListedModel): Model {
  const known = knownModel(provider.provider_type, listed.id)
  const context_window = listed.context_window ?? known?.context_window ?? UNKNOWN_CONTEXT_WINDOW
  const thinking = provider.provider_type === 'anthropic' ? anthropicThinking(listed.id) : null
  return {
    handle: `${provider.name}/${listed.id}`,
    name: listed.id,
    display_name: listed.display_name ?? listed.id,
    provider_type: provider.provider_type,
    provider_name: provider.name,
    model_type: 'llm',
    max_context_window: context_window,
    model: listed.id,
    model_endpoint_type: endpointType(provider.provider_type),
    model_endpoint: listed.endpoint === undefined ? apiBase(provider) : listed.endpoint,
    provider_category: provider.category,
    model_wrapper: null,
    context_window,
    put_inner_thoughts_in_kwargs: false,
    temperature: 1,
    max_tokens: listed.max_output_tokens ?? known?.max_output_tokens ?? null,
    enable_reasoner: thinking !== 'none',
    reasoning_effort: null,
    max_reasoning_tokens: thinking === 'budget' ? DEFAULT_BUDGET : 0,
    effort: null,
    frequency_penalty: null,
    compatibility_type: listed.compatibility_type ?? null,
    verbosity: null,
    tier: null,
    parallel_tool_calls: false,
    response_format: null,
    strict: false,
    return_logprobs: false,
    top_logprobs: null,
    return_token_ids: false,
    tool_call_parser: null,
  }
}

/** V1's endpoint type of a provider type: the same word where both have it, else the protocol we speak. */
function endpointType(type: ProviderType): EndpointType {
  switch (type) {
    case 'lmstudio_openai':
      return 'lmstudio'
    case 'cerebras':
    case 'fireworks':
    case 'letta':
    case 'sglang':
      return 'openai'
    default:
      return type
  }
}

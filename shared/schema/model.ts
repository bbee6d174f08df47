import * as z from 'zod'

export const responseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_schema'), json_schema: z.record(z.string(), z.unknown()) }),
  z.object({ type: z.literal('json_object') }),
])

const ENDPOINT_TYPES = [
  'openai',
  'anthropic',
  'google_ai',
  'google_vertex',
  'azure',
  'groq',
  'ollama',
  'webui',
  'webui-legacy',
  'lmstudio',
  'lmstudio-legacy',
  'lmstudio-chatcompletions',
  'llamacpp',
  'koboldcpp',
  'vllm',
  'hugging-face',
  'minimax',
  'mistral',
  'together',
  'bedrock',
  'deepseek',
  'xai',
  'zai',
  'zai_coding',
  'baseten',
  'fireworks',
  'moonshot',
  'moonshot_coding',
  'openrouter',
  'chatgpt_oauth',
] as const

const PROVIDER_TYPES = [
  'anthropic',
  'azure',
  'baseten',
  'bedrock',
  'cerebras',
  'chatgpt_oauth',
  'deepseek',
  'fireworks',
  'google_ai',
  'google_vertex',
  'groq',
  'hugging-face',
  'letta',
  'lmstudio_openai',
  'minimax',
  'mistral',
  'ollama',
  'openai',
  'together',
  'vllm',
  'sglang',
  'openrouter',
  'xai',
  'zai',
  'zai_coding',
] as const
export const providerType = z.enum(PROVIDER_TYPES)
export type ProviderType = z.infer<typeof providerType>
export const endpointType = z.enum(ENDPOINT_TYPES)
export type EndpointType = z.infer<typeof model>['model_endpoint_type']

const reasoningEffort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh'])

/** V1's deprecated but still served description of a model (`LLMConfig`). */
export const llmConfig = z.object({
  model: z.string(),
  model_endpoint_type: endpointType,
  context_window: z.number().int().min(1),
  display_name: z.string().nullish(),
  model_endpoint: z.string().nullish(),
  provider_name: z.string().nullish(),
  provider_category: z.enum(['base', 'byok']).nullish(),
  model_wrapper: z.string().nullish(),
  put_inner_thoughts_in_kwargs: z.boolean().nullish(),
  handle: z.string().nullish(),
  temperature: z.number().min(0).max(2).default(1),
  max_tokens: z.number().int().nullish(),
  enable_reasoner: z.boolean().default(true),
  reasoning_effort: reasoningEffort.nullish(),
  max_reasoning_tokens: z.number().int().min(0).default(0),
  effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
  frequency_penalty: z.number().nullish(),
  compatibility_type: z.enum(['gguf', 'mlx']).nullish(),
  verbosity: z.enum(['low', 'medium', 'high']).nullish(),
  tier: z.string().nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: responseFormat.nullish(),
  strict: z.boolean().default(false),
  return_logprobs: z.boolean().default(false),
  top_logprobs: z.number().int().nullish(),
  return_token_ids: z.boolean().default(false),
  tool_call_parser: z.string().nullish(),
})
export type LlmConfig = z.infer<typeof llmConfig>

/** The shapes of `model_settings` that V1's clients know (reference 2.7); other providers take OpenAI's. */
export const SETTINGS_TYPES = [
  'openai',
  'sglang',
  'anthropic',
  'google_ai',
  'google_vertex',
  'azure',
  'xai',
  'zai',
  'groq',
  'deepseek',
  'together',
  'bedrock',
  'baseten',
  'openrouter',
  'chatgpt_oauth',
] as const

/**
 * `model_settings`: typed by `provider_type` in V1, open here, so that a setting a provider invents tomorrow is
 * carried rather than refused. What the agent loop reads is named.
 */
export const modelSettings = z.looseObject({
  /** One of `SETTINGS_TYPES`, or of a client that came after V1. */
  provider_type: z.string().optional(),
  max_output_tokens: z.number().int().optional(),
  parallel_tool_calls: z.boolean().optional(),
  temperature: z.number().min(0).max(2).optional(),
  reasoning: z.object({ reasoning_effort: reasoningEffort.optional() }).optional(),
  response_format: responseFormat.nullish(),
  strict: z.boolean().optional(),
  effort: llmConfig.shape.effort,
  verbosity: llmConfig.shape.verbosity,
  tool_call_parser: z.string().nullish(),
  /** Of Anthropic and Z.ai. */
  thinking: z
    .looseObject({
      type: z.enum(['enabled', 'disabled']).optional(),
      budget_tokens: z.number().int().min(0).optional(),
    })
    .optional(),
  /** Of Google. */
  thinking_config: z
    .looseObject({
      include_thoughts: z.boolean().optional(),
      thinking_budget: z.number().int().optional(),
    })
    .optional(),
  /** Of Google, what `response_format` is to the others. */
  response_schema: responseFormat.nullish(),
  /** Ours: handles of models that are asked, in this order, when the agent's own cannot answer. */
  fallback_models: z.array(z.string()).max(5).optional(),
})
export type ModelSettings = z.infer<typeof modelSettings>

/** A language model as `GET /v1/models/` lists it (V1 `Model`). */
export const model = llmConfig.extend({
  // V1 has one type more for configurations than for the models it lists.
  model_endpoint_type: endpointType.exclude(['fireworks']),
  name: z.string(),
  provider_type: providerType,
  model_type: z.literal('llm'),
  max_context_window: z.number().int(),
})
export type Model = z.infer<typeof model>

/** V1's description of an embedding model, kept with agents and archives. */
export const embeddingConfig = z.looseObject({
  embedding_endpoint_type: z.enum([
    'openai',
    'anthropic',
    'bedrock',
    'google_ai',
    'google_vertex',
    'azure',
    'groq',
    'ollama',
    'webui',
    'webui-legacy',
    'lmstudio',
    'lmstudio-legacy',
    'llamacpp',
    'koboldcpp',
    'vllm',
    'hugging-face',
    'mistral',
    'together',
    'pinecone',
  ]),
  embedding_endpoint: z.string().nullish(),
  embedding_model: z.string(),
  embedding_dim: z.number().int(),
  embedding_chunk_size: z.number().int().nullish(),
  handle: z.string().nullish(),
  batch_size: z.number().int().default(32),
})
export type EmbeddingConfig = z.infer<typeof embeddingConfig>

/** An embedding model as `GET /v1/models/embedding` lists it (V1 `EmbeddingModel`). */
export const embeddingModel = embeddingConfig.extend({
  handle: z.string(),
  name: z.string(),
  display_name: z.string(),
  provider_type: providerType,
  provider_name: z.string(),
  model_type: z.literal('embedding'),
})
export type EmbeddingModel = z.infer<typeof embeddingModel>

/** What can be used now and what it costs, as `GET /v1/models/overview` answers it (not of V1). */
export const modelsOverview = z.object({
  models: z.array(
    model.extend({
      /** In US dollars for a million tokens, as the provider's own list says; null where it does not. */
      price: z
        .object({ input: z.number(), output: z.number(), cached_input: z.number().nullable() })
        .nullable(),
    }),
  ),
  embedding_models: z.array(embeddingModel),
  /** Providers that list no models, and why. */
  problems: z.array(z.object({ provider: z.string(), url: z.string(), message: z.string() })),
})
export type ModelsOverview = z.infer<typeof modelsOverview>

import { type AgentType, type CreateAgent, DEFAULT_CONTEXT_WINDOW_LIMIT } from '../schema/agent.ts'
import { AppError } from '../schema/errors.ts'
import { type LlmConfig, type Model, type ModelSettings, SETTINGS_TYPES } from '../schema/model.ts'
import { runsOlderLoop } from './agent-tools.ts'
import type { Actor } from './ports/actor.ts'
import type { Models, RequestSettings } from './ports/models.ts'

/** Everything in which a request may say how a model is to be used. */
export type ModelOptions = Pick<
  CreateAgent,
  | 'llm_config'
  | 'model_settings'
  | 'context_window_limit'
  | 'parallel_tool_calls'
  | 'max_tokens'
  | 'reasoning'
  | 'response_format'
  | 'enable_reasoner'
  | 'max_reasoning_tokens'
>

/** What a budget of thoughts is where none is said (reference 2.7). */
const DEFAULT_BUDGET = 1024

/** Models whose thoughts come beside their answer, whether or not they are asked to think. */
const THINKS_BY_ITSELF = /(^|\/)(o[1-9]|gpt-5|gpt-oss|codex)|deepseek-r|reasoner|-r1|qwq|magistral|thinking/i

/** How an agent of this type uses the model, with what was asked for. */
export function llmConfigOf(info: Model, type: AgentType, asked: Partial<ModelOptions>): LlmConfig {
  const { name: _name, provider_type: _type, model_type: _kind, max_context_window, ...config } = info
  const base = {
    ...config,
    context_window: Math.min(max_context_window, DEFAULT_CONTEXT_WINDOW_LIMIT),
    // Model lists say false as V1's do; V1's agents answer true in `model_settings`, and that is what is meant.
    parallel_tool_calls: true,
    // Models that do not think by themselves are given room for it in each call.
    put_inner_thoughts_in_kwargs:
      runsOlderLoop(type) && asked.reasoning !== false && !THINKS_BY_ITSELF.test(info.name),
  }
  return applySettings(asked.llm_config ? { ...base, ...asked.llm_config, handle: info.handle } : base, {
    ...asked,
    llm_config: null,
  })
}

/**
 * `model_settings` overrides `llm_config`, and the explicit fields override both (reference 2.2). Each field is taken
 * for what it means, whatever provider type the settings name: clients send those of another one after a change of
 * model.
 */
export function applySettings<C extends Partial<LlmConfig>>(config: C, asked: Partial<ModelOptions>): C {
  const next: C = { ...config, ...asked.llm_config }
  if (asked.enable_reasoner != null) next.enable_reasoner = asked.enable_reasoner
  if (asked.max_reasoning_tokens != null) next.max_reasoning_tokens = asked.max_reasoning_tokens
  const settings = asked.model_settings
  if (settings?.temperature !== undefined) next.temperature = settings.temperature
  if (settings?.max_output_tokens !== undefined) next.max_tokens = settings.max_output_tokens
  if (settings?.parallel_tool_calls !== undefined) next.parallel_tool_calls = settings.parallel_tool_calls
  if (settings?.reasoning?.reasoning_effort !== undefined)
    next.reasoning_effort = settings.reasoning.reasoning_effort
  if (settings?.effort !== undefined) next.effort = settings.effort
  if (settings?.verbosity !== undefined) next.verbosity = settings.verbosity
  if (settings?.strict !== undefined) next.strict = settings.strict
  if (settings?.tool_call_parser !== undefined) next.tool_call_parser = settings.tool_call_parser
  if (settings?.response_format !== undefined) next.response_format = settings.response_format
  if (settings?.response_schema !== undefined) next.response_format = settings.response_schema
  const { thinking, thinking_config } = settings ?? {}
  if (thinking) think(next, thinking.type !== 'disabled', thinking.budget_tokens)
  if (thinking_config)
    think(next, thinking_config.include_thoughts !== false, thinking_config.thinking_budget)
  if (asked.context_window_limit != null) next.context_window = asked.context_window_limit
  if (asked.parallel_tool_calls != null) next.parallel_tool_calls = asked.parallel_tool_calls
  if (asked.max_tokens != null) next.max_tokens = asked.max_tokens
  if (asked.response_format != null) next.response_format = asked.response_format
  if (asked.reasoning != null) next.enable_reasoner = asked.reasoning
  return next
}

function think(config: Partial<LlmConfig>, enabled: boolean, budget: number | undefined): void {
  config.enable_reasoner = enabled
  config.max_reasoning_tokens = enabled ? (budget ?? DEFAULT_BUDGET) : 0
}

/**
 * V1's `model_settings` of an agent with this model: the fields of its provider type, as `config` has them, and what
 * else was `asked` for. Of `before` the fields that only these settings hold are kept while the provider type stays;
 * the fallback models always are.
 */
export function modelSettingsOf(
  info: Model,
  config: LlmConfig,
  asked: ModelSettings | null | undefined,
  before: ModelSettings | null = null,
): ModelSettings {
  const provider_type =
    asked?.provider_type ?? SETTINGS_TYPES.find((type) => type === info.provider_type) ?? 'openai'
  const { fallback_models } = before ?? {}
  const kept = before?.provider_type === provider_type ? before : fallback_models ? { fallback_models } : {}
  return {
    ...kept,
    ...asked,
    provider_type,
    max_output_tokens: config.max_tokens ?? (provider_type.startsWith('google_') ? 65_536 : 4096),
    parallel_tool_calls: config.parallel_tool_calls ?? false,
    temperature: config.temperature,
    ...ownFields(provider_type, config, { ...kept, ...asked }),
  }
}

/** What V1 answers of a provider type beside what is common to all. */
function ownFields(provider_type: string, config: LlmConfig, asked: ModelSettings): Partial<ModelSettings> {
  const response_format = config.response_format ?? null
  const budget_tokens = config.max_reasoning_tokens || DEFAULT_BUDGET
  const type = config.enable_reasoner ? ('enabled' as const) : ('disabled' as const)
  switch (provider_type) {
    case 'anthropic':
      return {
        thinking: { type, budget_tokens },
        effort: config.effort ?? null,
        verbosity: config.verbosity ?? null,
        strict: config.strict,
        response_format,
      }
    case 'google_ai':
    case 'google_vertex':
      return {
        thinking_config: {
          include_thoughts: config.max_reasoning_tokens > 0,
          thinking_budget: budget_tokens,
        },
        response_schema: response_format,
      }
    case 'zai':
      return { thinking: { clear_thinking: false, ...asked.thinking, type }, response_format }
    case 'chatgpt_oauth':
      return { reasoning: { reasoning_effort: config.reasoning_effort ?? 'medium' } }
    case 'sglang':
      return {
        reasoning: { reasoning_effort: config.reasoning_effort ?? 'minimal' },
        strict: config.strict,
        response_format,
        tool_call_parser: config.tool_call_parser ?? null,
      }
    case 'openai':
      return {
        reasoning: { reasoning_effort: config.reasoning_effort ?? 'minimal' },
        strict: config.strict,
        response_format,
      }
    default:
      return { response_format }
  }
}

/** What a request asks of a model, as its agent's configuration has it. */
export function requestSettings(config: LlmConfig): RequestSettings {
  return {
    temperature: config.temperature,
    max_tokens: config.max_tokens,
    reasoning_effort: config.reasoning_effort,
    enable_reasoner: config.enable_reasoner,
    max_reasoning_tokens: config.max_reasoning_tokens,
    effort: config.effort,
    verbosity: config.verbosity,
    strict: config.strict,
    frequency_penalty: config.frequency_penalty,
    response_format: config.response_format,
  }
}

/** Throws `model_not_found` or `invalid_argument` for a fallback model that could never be asked. */
export async function checkFallbacks(
  models: Models,
  actor: Actor,
  handle: string,
  settings: ModelSettings | null | undefined,
): Promise<void> {
  for (const fallback of settings?.fallback_models ?? []) {
    const { handle: found } = await models.resolve(actor, fallback)
    if (found !== handle) continue
    throw new AppError(
      'invalid_argument',
      `'${fallback}' is the agent's own model: model_settings.fallback_models names those to ask when it fails.`,
    )
  }
}

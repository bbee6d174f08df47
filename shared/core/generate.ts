import { agentNotFound, AppError, isAppError } from '../schema/errors.ts'
import type { GenerateRequest, GenerateResponse } from '../schema/generate.ts'
import type { UsageStatistics } from '../schema/message.ts'
import type { ToolSchema } from '../schema/tool.ts'
import { withFallbacks } from './fallback-model.ts'
import { requestSettings } from './model-settings.ts'
import type { Actor } from './ports/actor.ts'
import type { CoreDeps } from './ports/deps.ts'
import type { LanguageModel, ModelMessage, ModelRequest, ModelUsage } from './ports/models.ts'

/** The tool that a model has to call when its answer must keep to a schema. */
const ANSWER = 'respond'

/**
 * Asks the model of an agent once, or another one, with this prompt alone: the agent is not told, nothing is stored. Its
 * fallback models are asked when that one cannot answer, as in a turn; `model` says which one did.
 * With `response_schema` the model has to call a tool of that schema, and `content` is the JSON of its arguments. Throws
 * `not_found`, `model_not_found`, `validation` for a schema that describes no object, and `llm_*`.
 */
export async function generate(
  deps: CoreDeps,
  actor: Actor,
  agent_id: string,
  { prompt, system_prompt, override_model, response_schema }: GenerateRequest,
  { signal }: { signal: AbortSignal },
): Promise<GenerateResponse> {
  const agent = await deps.store.agents.get(actor, agent_id, [])
  if (!agent) throw agentNotFound()
  const schema = response_schema ? objectSchema(response_schema) : null
  const chosen = await deps.models.resolve(actor, override_model ?? agent.model ?? 'letta/auto')
  const model = withFallbacks(chosen, agent.model_settings?.fallback_models ?? [], deps.models, actor)
  const system: ModelMessage[] = system_prompt ? [{ role: 'system', text: system_prompt }] : []
  const request: ModelRequest = {
    messages: [...system, { role: 'user', content: [{ type: 'text', text: prompt }], name: null }],
    tools: schema
      ? [
          {
            name: ANSWER,
            description: 'Gives the answer, in the form that is asked for.',
            parameters: schema,
          },
        ]
      : [],
    tool_choice: schema ? { name: ANSWER } : 'none',
    parallel_tool_calls: false,
    // What the agent's answers look like is the agent's.
    settings: { ...requestSettings(agent.llm_config), response_format: null },
  }
  const { text, called, usage } = await answerOf(model.language_model, request, signal).catch(asModelFailure)
  const content = schema ? jsonOf(called === '' ? text : called, model.handle) : text
  return { content, model: model.handle, usage: usageOf(usage) }
}

interface Said {
  text: string
  /** Arguments of the first call: a model may call more than it was asked to. */
  called: string
  usage: ModelUsage | null
}

async function answerOf(model: LanguageModel, request: ModelRequest, signal: AbortSignal): Promise<Said> {
  const said: Said = { text: '', called: '', usage: null }
  for await (const event of model.generate(request, { signal, stream: false })) {
    if (event.type === 'text') said.text += event.text
    if (event.type === 'tool_call' && event.index === 0) said.called += event.arguments
    if (event.type === 'finish') said.usage = event.usage
  }
  return said
}

/** Here the model stands behind the server: whatever it fails with is a bad gateway (reference 9.4), or none in time. */
function asModelFailure(error: unknown): never {
  if (!isAppError(error) || !error.code.startsWith('llm_') || error.code === 'llm_timeout') throw error
  throw new AppError('llm_error', error.message, { data: { ...error.data, code: error.code }, cause: error })
}

/** A schema that a tool can have: that of an object. */
function objectSchema(schema: Record<string, unknown>): ToolSchema['parameters'] {
  const { type = 'object', properties = {}, required = [] } = schema
  const names = Array.isArray(required) && required.every((name) => typeof name === 'string')
  if (type !== 'object' || typeof properties !== 'object' || properties === null || !names)
    throw new AppError(
      'validation',
      'body.response_schema: expected a JSON schema of an object, with `properties` and perhaps `required`',
    )
  return { ...schema, type, properties: properties as Record<string, unknown>, required }
}

/** The JSON of an answer, written as JSON is; a model that did not keep to it is at fault. */
function jsonOf(text: string, handle: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return JSON.stringify(value)
  } catch {
    // Told below, as any other answer that is no object.
  }
  throw new AppError(
    'llm_error',
    `'${handle}' did not answer with an object of the response_schema; ask again, or ask a model that calls tools reliably.`,
  )
}

function usageOf(usage: ModelUsage | null): UsageStatistics {
  return {
    message_type: 'usage_statistics',
    completion_tokens: usage?.completion_tokens ?? 0,
    prompt_tokens: usage?.prompt_tokens ?? 0,
    total_tokens: usage?.total_tokens ?? 0,
    step_count: 1,
    run_ids: null,
    cached_input_tokens: usage?.cached_input_tokens ?? null,
    cache_write_tokens: usage?.cache_write_tokens ?? null,
    reasoning_tokens: usage?.reasoning_tokens ?? null,
    context_tokens: null,
  }
}

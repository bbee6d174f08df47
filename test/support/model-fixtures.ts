import assert from 'node:assert/strict'
import type {
  LanguageModel,
  ModelEvent,
  ModelMessage,
  ModelRequest,
  ModelToolCall,
} from '../../shared/core/ports/models.ts'
import { createAnthropicModel } from '../../shared/models/anthropic.ts'
import { describeModel } from '../../shared/models/describe.ts'
import { createOpenAiModel } from '../../shared/models/openai-compatible.ts'
import { createResponsesModel } from '../../shared/models/openai-responses.ts'
import type { RetryPolicy } from '../../shared/models/model-call.ts'
import { AppError } from '../../shared/schema/errors.ts'
import type { ProviderConfig } from '../../shared/schema/provider.ts'

/** A provider `openai` at this URL, with a key that texts must not show. */
export function providerAt(base_url: string, more: Partial<ProviderConfig> = {}): ProviderConfig {
  return {
    name: 'openai',
    provider_type: 'openai',
    base_url,
    api_key: 'sk-secret-key',
    category: 'byok',
    ...more,
  }
}

/** `test-model` of that provider. Retries come after a millisecond. */
export function modelAt(
  base_url: string,
  more: Partial<ProviderConfig> = {},
  retry: Partial<RetryPolicy> = {},
): LanguageModel {
  const provider = providerAt(base_url, more)
  return createOpenAiModel(provider, describeModel(provider, { id: 'test-model' }), {
    retry: { first_wait_ms: 1, ...retry },
  })
}

/** A model of Anthropic's protocol at this URL. */
export function claudeAt(
  base_url: string,
  options: { id?: string; provider?: Partial<ProviderConfig>; retry?: Partial<RetryPolicy> } = {},
): LanguageModel {
  const provider = providerAt(base_url, {
    name: 'anthropic',
    provider_type: 'anthropic',
    ...options.provider,
  })
  const model = describeModel(provider, { id: options.id ?? 'claude-sonnet-4-5' })
  return createAnthropicModel(provider, model, { retry: { first_wait_ms: 1, ...options.retry } })
}

/** A model of OpenAI's Responses at this URL. */
export function reasonerAt(
  base_url: string,
  options: { id?: string; provider?: Partial<ProviderConfig>; retry?: Partial<RetryPolicy> } = {},
): LanguageModel {
  const provider = providerAt(base_url, { api: 'responses', ...options.provider })
  const model = describeModel(provider, { id: options.id ?? 'gpt-5-mini' })
  return createResponsesModel(provider, model, { retry: { first_wait_ms: 1, ...options.retry } })
}

export function userSays(text: string): ModelMessage {
  return { role: 'user', content: [{ type: 'text', text }], name: null }
}

/** A request that says this, as its only user message or as the whole conversation. */
export function request(said: string | ModelMessage[], more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    messages: typeof said === 'string' ? [{ role: 'system', text: 'You are a test.' }, userSays(said)] : said,
    tools: [],
    tool_choice: 'auto',
    parallel_tool_calls: true,
    settings: { temperature: 1 },
    ...more,
  }
}

/** Reads an answer to its end and puts its pieces together, checking the order that its port promises. */
export async function collect(
  model: LanguageModel,
  asked: ModelRequest,
  options: {
    signal?: AbortSignal
    stream?: boolean
    fail_fast?: boolean
    onEvent?: (event: ModelEvent) => void
  } = {},
) {
  const signal = options.signal ?? new AbortController().signal
  const events: ModelEvent[] = []
  const calls: ModelToolCall[] = []
  const redacted: string[] = []
  let signature = ''
  let text = ''
  let reasoning = ''
  for await (const event of model.generate(asked, { stream: true, ...options, signal })) {
    assert.notEqual(events.at(-1)?.type, 'finish', 'nothing comes after finish')
    events.push(event)
    options.onEvent?.(event)
    if (event.type === 'text') text += event.text
    if (event.type === 'reasoning') {
      reasoning += event.text
      signature += event.signature ?? ''
    }
    if (event.type === 'redacted_reasoning') redacted.push(event.data)
    if (event.type !== 'tool_call') continue
    const call = (calls[event.index] ??= { id: event.id ?? '', name: event.name ?? '', arguments: '' })
    call.arguments += event.arguments
    if (event.signature !== undefined) call.signature = event.signature
  }
  const last = events.at(-1)
  assert.equal(last?.type, 'finish', 'finish comes last')
  return {
    events,
    text,
    reasoning,
    signature,
    redacted,
    calls,
    finish: last?.type === 'finish' ? last : null,
  }
}

/** The AppError a promise rejects with; fails when it resolves or rejects with anything else. */
export async function failureOf(promise: Promise<unknown>): Promise<AppError> {
  const thrown: unknown = await promise.then(
    (value) => assert.fail(`expected a failure, got ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  assert.ok(thrown instanceof AppError, `expected an AppError, got ${String(thrown)}`)
  return thrown
}

import type { ModelMessage, ModelRequest } from '../core/ports/models.ts'
import type { ContentPart } from '../schema/message.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { isOpenAiReasoner } from './known-models.ts'
import { ownContent } from './own-reasoning.ts'
import { pairCalls } from './paired-calls.ts'
import { closedSchema } from './strict-schema.ts'

type Json = Record<string, unknown>

/**
 * The body of a chat completion. Fields that a provider might refuse are left out when they say nothing new. Equal
 * requests give equal text, key for key: the provider's prefix cache depends on it.
 */
export function toChatBody(
  request: ModelRequest,
  provider: ProviderConfig,
  model: Model,
  stream: boolean,
): Json {
  const { settings, tools } = request
  const official = isOpenAi(provider)
  const reasoner = isOpenAiReasoner(model.name)
  const body: Json = { model: model.name, messages: toMessages(pairCalls(request.messages), provider, model) }
  if (tools.length > 0) {
    body.tools = tools.map(({ name, description, parameters }) => {
      // Elsewhere a field that is not known may be refused.
      const closed = official && settings.strict ? closedSchema(parameters, { all_required: true }) : null
      const strict = closed ? { strict: true } : {}
      return {
        type: 'function',
        function: { name, description, parameters: closed ?? parameters, ...strict },
      }
    })
    const choice = request.tool_choice
    if (typeof choice === 'object') body.tool_choice = { type: 'function', function: { name: choice.name } }
    else if (choice !== 'auto') body.tool_choice = choice
    if (!request.parallel_tool_calls) body.parallel_tool_calls = false
  }
  if (!(official && reasoner) && settings.temperature != null) body.temperature = settings.temperature
  if (settings.max_tokens != null) {
    body[official ? 'max_completion_tokens' : 'max_tokens'] = settings.max_tokens
  }
  if (settings.reasoning_effort != null && (reasoner || !/^(gpt-|chatgpt-)/.test(model.name))) {
    body.reasoning_effort = settings.reasoning_effort
  }
  if (settings.frequency_penalty != null) body.frequency_penalty = settings.frequency_penalty
  if (settings.verbosity != null && official && reasoner) body.verbosity = settings.verbosity
  Object.assign(body, thinkingOf(settings, provider))
  const format = settings.response_format
  if (format && format.type !== 'text') body.response_format = format
  if (request.logprobs) {
    body.logprobs = true
    if (request.logprobs.top !== null) body.top_logprobs = request.logprobs.top
  }
  if (stream) {
    body.stream = true
    if (provider.provider_type !== 'mistral') body.stream_options = { include_usage: true }
  }
  return body
}

/** Thinking as the providers that have a switch of their own for it want to be told; nothing where none is asked for. */
function thinkingOf(settings: ModelRequest['settings'], provider: ProviderConfig): Json {
  const budget = settings.max_reasoning_tokens ?? 0
  if (isGoogle(provider) && budget > 0 && settings.reasoning_effort == null)
    return { extra_body: { google: { thinking_config: { thinking_budget: budget } } } }
  const zai = provider.provider_type === 'zai' || provider.provider_type === 'zai_coding'
  return zai && settings.enable_reasoner === false ? { thinking: { type: 'disabled' } } : {}
}

/** OpenAI itself, also as Azure: not every server that speaks its protocol. */
function isOpenAi(provider: ProviderConfig): boolean {
  if (provider.provider_type === 'azure') return true
  return URL.parse(provider.base_url)?.hostname.endsWith('.openai.com') ?? false
}

function isGoogle(provider: ProviderConfig): boolean {
  return provider.provider_type === 'google_ai' || provider.provider_type === 'google_vertex'
}

function toMessages(messages: readonly ModelMessage[], provider: ProviderConfig, model: Model): Json[] {
  const out: Json[] = []
  // A tool message can only hold text, and the answers of parallel calls must stay together.
  let images: Json[] = []
  const flush = () => {
    if (images.length > 0) out.push({ role: 'user', content: images })
    images = []
  }
  for (const [i, message] of messages.entries()) {
    if (message.role !== 'tool') flush()
    // Templates of local models take a system message at the beginning only, and want a user's.
    if (message.role === 'system' && i > 0 && !isOpenAi(provider)) {
      out.push({ role: 'user', content: `<system>\n${message.text}\n</system>` })
      continue
    }
    const before = known.get(message)
    const same = before?.provider === provider && before.model === model ? before.out : null
    const written = same ?? toMessage(message, provider, model)
    out.push(written)
    if (!same) known.set(message, { provider, model, out: written })
    if (message.role !== 'tool' || typeof message.content === 'string') continue
    const seen = message.content.flatMap(toImage)
    if (seen.length > 0) images.push({ type: 'text', text: `Images returned by ${message.name}:` }, ...seen)
  }
  flush()
  return out
}

/** What messages became last: the same objects come back turn after turn. */
const known = new WeakMap<ModelMessage, { provider: ProviderConfig; model: Model; out: Json }>()

function toMessage(message: ModelMessage, provider: ProviderConfig, model: Model): Json {
  switch (message.role) {
    case 'system':
      return { role: 'system', content: message.text }
    case 'user': {
      const named = message.name !== null && /^[A-Za-z0-9_-]{1,64}$/.test(message.name) && isOpenAi(provider)
      return { role: 'user', content: toContent(message.content), ...(named ? { name: message.name } : {}) }
    }
    case 'assistant':
      return toAssistant(message, provider, model)
    case 'tool': {
      const { content, tool_call_id } = message
      return { role: 'tool', tool_call_id, content: typeof content === 'string' ? content : textOf(content) }
    }
  }
}

/** Messages whose text is longer, of images mostly, are written anew for each request instead of being kept twice. */
const MAX_KEPT = 64 * 1024
const texts = new WeakMap<Json, string>()

/** The JSON of a body that `toChatBody` made. A message that was sent before is not written again. */
export function chatText(body: Json): string {
  const { model, messages, ...rest } = body
  const written = (messages as Json[]).map(messageText).join(',')
  const more = JSON.stringify(rest)
  const head = `{"model":${JSON.stringify(model)},"messages":[${written}]`
  return more === '{}' ? `${head}}` : `${head},${more.slice(1)}`
}

function messageText(message: Json): string {
  const before = texts.get(message)
  if (before !== undefined) return before
  const text = JSON.stringify(message)
  if (text.length <= MAX_KEPT) texts.set(message, text)
  return text
}

function toAssistant(
  message: ModelMessage & { role: 'assistant' },
  provider: ProviderConfig,
  model: Model,
): Json {
  const text = textOf(message.content)
  const calls = message.tool_calls
  const out: Json = { role: 'assistant', content: text === '' && calls.length > 0 ? null : text }
  if (calls.length === 0) return out
  // DeepSeek refuses the rest of a tool turn without the thoughts that led to the call.
  if (provider.provider_type === 'deepseek') {
    const thoughts = ownContent(message, model).flatMap((part) =>
      part.type === 'reasoning' ? [part.reasoning] : [],
    )
    if (thoughts.length > 0) out.reasoning_content = thoughts.join('')
  }
  out.tool_calls = calls.map((call) => ({
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments === '' ? '{}' : call.arguments },
    // Gemini refuses a call of its own without its signature; others refuse a field that they do not know.
    ...(call.signature !== undefined && isGoogle(provider)
      ? { extra_content: { google: { thought_signature: call.signature } } }
      : {}),
  }))
  return out
}

function toContent(parts: ContentPart[]): string | Json[] {
  if (!parts.some((part) => part.type === 'image')) return textOf(parts)
  return parts.flatMap((part) => (part.type === 'text' ? [{ type: 'text', text: part.text }] : toImage(part)))
}

function toImage(part: ContentPart): Json[] {
  if (part.type !== 'image') return []
  const { source } = part
  if (source.type === 'url') return [{ type: 'image_url', image_url: { url: source.url } }]
  if (source.data == null)
    return [{ type: 'text', text: `[image ${'file_id' in source ? source.file_id : ''}]` }]
  const url = `data:${source.media_type ?? 'image/png'};base64,${source.data}`
  return [
    { type: 'image_url', image_url: { url, ...(source.detail == null ? {} : { detail: source.detail }) } },
  ]
}

function textOf(parts: ContentPart[]): string {
  // Nearly every message; a long context has thousands.
  const [only] = parts
  if (parts.length === 1 && only?.type === 'text') return only.text
  return parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
}

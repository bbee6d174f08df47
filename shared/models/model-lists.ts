import type { ModelPrice } from '../core/ports/models.ts'
import { messageOf } from '../schema/errors.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import type { ListedModel } from './describe.ts'
import { displayUrl } from './model-errors.ts'
import { apiBase, serverRoot } from './providers.ts'
import { readText, send } from './transport.ts'

type Json = Record<string, unknown>

/** A list could not be had; the text says why. `absent`: no such server runs there, perhaps another one. */
export class ListError extends Error {
  readonly url: string
  readonly absent: boolean
  /** What was answered instead of a list. */
  readonly status: number | undefined

  constructor(url: string, message: string, absent = false, status?: number) {
    super(message)
    this.url = url
    this.absent = absent
    this.status = status
  }
}

/**
 * Asks a provider for its chat models, each with the context size the provider tells. Throws `ListError` after
 * `timeout_ms` at the latest.
 */
export async function fetchModels(provider: ProviderConfig, timeout_ms: number): Promise<ListedModel[]> {
  const signal = AbortSignal.timeout(timeout_ms)
  const ask = (url: string, body?: Json) => getJson(provider, url, signal, timeout_ms, body)
  switch (provider.provider_type) {
    case 'ollama':
      return ollamaModels(provider, ask)
    case 'lmstudio_openai':
      return lmStudioModels(provider, ask)
    case 'azure':
      return azureModels(provider, ask)
    case 'anthropic':
      return anthropicModels(provider, ask)
    default:
      return openAiModels(await ask(`${apiBase(provider)}/models`), `${apiBase(provider)}/models`)
  }
}

type Ask = (url: string, body?: Json) => Promise<unknown>

async function ollamaModels(provider: ProviderConfig, ask: Ask): Promise<ListedModel[]> {
  const root = serverRoot(provider)
  const [list, running] = await Promise.all([
    ask(`${root}/api/tags`),
    // Older servers do not have it.
    ask(`${root}/api/ps`).catch(() => null),
  ])
  const tags = items(list, 'models')
  const loaded = new Map(items(running, 'models').map((item) => [text(item.name), size(item.context_length)]))
  const all = await Promise.all(
    tags.map(async (tag): Promise<ListedModel | null> => {
      const id = text(tag.name) ?? text(tag.model)
      if (!id) return null
      // One model that cannot be shown must not hide the others.
      const show = (await ask(`${root}/api/show`, { model: id }).catch(() => ({}))) as Json
      if (Array.isArray(show.capabilities) && !show.capabilities.includes('completion')) return null
      if (!Array.isArray(show.capabilities) && isNoChatModel(id)) return null
      const info = (show.model_info ?? {}) as Json
      const trained = Object.entries(info).find(([key]) => key.endsWith('.context_length'))?.[1]
      // The server cuts prompts at what it loaded the model with, or at what the Modelfile says.
      const set = /^num_ctx\s+(\d+)/m.exec(text(show.parameters) ?? '')?.[1]
      return { id, context_window: loaded.get(id) ?? (set ? Number(set) : size(trained)) }
    }),
  )
  return all.filter((model) => model !== null)
}

async function lmStudioModels(provider: ProviderConfig, ask: Ask): Promise<ListedModel[]> {
  const root = serverRoot(provider)
  const list = await ask(`${root}/api/v0/models`).catch((error: unknown) => {
    if (error instanceof ListError && error.message.endsWith(' answered 404')) return null
    throw error
  })
  if (list === null) return openAiModels(await ask(`${root}/v1/models`), `${root}/v1/models`)
  return items(list, 'data').flatMap((item) => {
    const id = text(item.id)
    if (!id || item.type === 'embeddings') return []
    const format = item.compatibility_type
    return {
      id,
      context_window: size(item.loaded_context_length) ?? size(item.max_context_length),
      compatibility_type: format === 'gguf' || format === 'mlx' ? format : null,
    }
  })
}

async function azureModels(provider: ProviderConfig, ask: Ask): Promise<ListedModel[]> {
  const root = serverRoot(provider).replace(/\/openai$/, '')
  const list = await ask(`${root}/openai/deployments?api-version=2023-03-15-preview`)
  return items(list, 'data').flatMap((item) => {
    const id = text(item.id)
    return id && !isNoChatModel(text(item.model) ?? id) ? { id } : []
  })
}

/** All on one page; sizes and limits are told for each, for newer ones at least. */
async function anthropicModels(provider: ProviderConfig, ask: Ask): Promise<ListedModel[]> {
  const url = `${apiBase(provider)}/models`
  const list = await ask(`${url}?limit=1000`)
  const limits = new Map(items(list, 'data').map((item) => [text(item.id), item]))
  return openAiModels(list, url).flatMap((model) => {
    const item = limits.get(model.id)
    if (item?.lifecycle === 'retired') return []
    return { ...model, max_output_tokens: model.max_output_tokens ?? size(item?.max_tokens) }
  })
}

const CONTEXT_FIELDS = [
  'context_length',
  'max_model_len',
  'max_context_length',
  'context_window',
  'max_context_window',
  'max_input_tokens',
  'input_token_limit',
  'inputTokenLimit',
  'max_prompt_tokens',
]

function openAiModels(list: unknown, url: string): ListedModel[] {
  if (
    !Array.isArray(list) &&
    !['data', 'models'].some((key) => Array.isArray((list as Json | null)?.[key]))
  ) {
    throw new ListError(
      displayUrl(url),
      `${displayUrl(url)} answered no list of models; check base_url`,
      true,
    )
  }
  const seen = new Set<string>()
  return items(list, 'data', 'models').flatMap((item) => {
    const id = (text(item.id) ?? text(item.name))?.replace(/^models\//, '')
    if (!id || seen.has(id) || isNoChatModel(id) || !chats(item)) return []
    seen.add(id)
    const meta = { ...(item.meta as Json), ...(item.top_provider as Json), ...item }
    const listed = CONTEXT_FIELDS.map((field) => size(meta[field])).find((value) => value !== null)
    return {
      id,
      display_name: text(item.display_name) ?? (item.id === undefined ? null : text(item.name)) ?? null,
      context_window: listed ?? size(meta.n_ctx) ?? size(meta.n_ctx_train),
      max_output_tokens: size(meta.max_completion_tokens) ?? size(meta.max_output_tokens),
      price: priceOf(item.pricing as Json | undefined),
    }
  })
}

/** Prices as OpenRouter's list writes them: dollars a token, as text. Others name other units, and are left out. */
function priceOf(pricing: Json | undefined): ModelPrice | undefined {
  const dollars = (value: unknown) =>
    typeof value === 'string' && value.trim() !== '' && Number(value) >= 0 ? Number(value) : undefined
  const input = dollars(pricing?.prompt)
  const output = dollars(pricing?.completion)
  const cached_input = dollars(pricing?.input_cache_read)
  if (input === undefined || output === undefined) return undefined
  return { input, output, ...(cached_input === undefined ? {} : { cached_input }) }
}

/** False when the list itself says that a model does not chat (Together, Mistral, OpenRouter, Groq). */
function chats(item: Json): boolean {
  if (
    typeof item.type === 'string' &&
    /^(embedding|image|audio|rerank|moderation|transcribe|video)/.test(item.type)
  ) {
    return false
  }
  if (item.active === false) return false
  const capabilities = item.capabilities as Json | undefined
  if (capabilities && !Array.isArray(capabilities) && capabilities.completion_chat === false) return false
  const outputs = (item.architecture as Json | undefined)?.output_modalities
  return !Array.isArray(outputs) || outputs.length === 0 || outputs.includes('text')
}

const NO_CHAT =
  /(?:^|[-_/.:])(?:embed(?:ding)?s?|whisper|tts|dall-e|moderation|transcribe|realtime|sora|rerank(?:er)?|gpt-image|imagen|veo|davinci|babbage|bge|nomic-embed-text|mxbai)(?:[-_.:/\d]|$)/i

/** Whether the name alone says that the model makes vectors, images or sound. */
function isNoChatModel(id: string): boolean {
  return NO_CHAT.test(id)
}

/** Gets (or, with a body, posts) JSON with the provider's credentials. */
export async function getJson(
  provider: ProviderConfig,
  address: string,
  signal: AbortSignal,
  timeout_ms: number,
  body?: Json,
): Promise<unknown> {
  const shown = displayUrl(address)
  const url = URL.parse(address)
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new ListError(shown, `'${shown}' is not a URL; set base_url of provider '${provider.name}'`)
  }
  let status: number
  let answer: string
  try {
    const incoming = await send(url, {
      method: body ? 'POST' : 'GET',
      headers: {
        accept: 'application/json',
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...credentials(provider),
      },
      body: body && JSON.stringify(body),
      signal,
      connect_ms: timeout_ms,
    })
    status = incoming.statusCode ?? 0
    answer = await readText(incoming)
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (signal.aborted) throw new ListError(shown, `${shown} did not answer within ${timeout_ms / 1000} s`)
    if (code === 'ECONNREFUSED')
      throw new ListError(shown, `${shown} refused the connection; nothing runs there`, true)
    throw new ListError(shown, `${shown} cannot be reached: ${messageOf(error)}`)
  }
  if (status === 401 || status === 403) {
    const text = `${shown} answered ${status}; check the key of provider '${provider.name}'`
    throw new ListError(shown, text, false, status)
  }
  if (status !== 200) throw new ListError(shown, `${shown} answered ${status}`, status === 404, status)
  try {
    return JSON.parse(answer)
  } catch {
    throw new ListError(shown, `${shown} answered something that is not JSON; check base_url`, true)
  }
}

function credentials(provider: ProviderConfig): Record<string, string> {
  const key = provider.api_key?.trim()
  const own = provider.headers ?? {}
  if (!key) return own
  switch (provider.provider_type) {
    case 'azure':
      return { 'api-key': key, ...own }
    case 'anthropic':
      return { 'x-api-key': key, 'anthropic-version': '2023-06-01', ...own }
    default:
      return { authorization: `Bearer ${key}`, ...own }
  }
}

/** The list under the first of these keys that holds one, or the answer itself where it is a list. */
export function items(answer: unknown, ...keys: string[]): Json[] {
  const list = Array.isArray(answer)
    ? answer
    : keys.map((key) => (answer as Json | null)?.[key]).find(Array.isArray)
  return ((list ?? []) as unknown[]).filter((item): item is Json => typeof item === 'object' && item !== null)
}

/** Text that says something. */
export function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

/** A whole number above 0. */
export function size(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : null
}

import type { ProviderType } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'

/** A provider that `loci connect` and the environment know by name. */
export interface ProviderPreset {
  name: string
  title: string
  provider_type: ProviderType
  /** Empty where every user has their own (Azure). */
  base_url: string
  /** Environment variables that hold the key, the first that is set wins. */
  key_env: string[]
  /** Environment variables that hold the URL. */
  url_env: string[]
  /** Runs on the user's own machine or network: no key needed, and answers may take long. */
  local: boolean
}

const preset = (
  name: string,
  title: string,
  provider_type: ProviderType,
  base_url: string,
  key_env: string[],
  more: Partial<ProviderPreset> = {},
): ProviderPreset => ({ name, title, provider_type, base_url, key_env, url_env: [], local: false, ...more })

/** Every preset, in the order in which they are offered (names of the environment: reference 11.3). */
export const PRESETS: readonly ProviderPreset[] = [
  preset('openai', 'OpenAI', 'openai', 'https://api.openai.com/v1', ['OPENAI_API_KEY'], {
    url_env: ['OPENAI_BASE_URL', 'OPENAI_API_BASE'],
  }),
  preset('anthropic', 'Anthropic', 'anthropic', 'https://api.anthropic.com/v1', ['ANTHROPIC_API_KEY'], {
    url_env: ['ANTHROPIC_BASE_URL'],
  }),
  preset(
    'google_ai',
    'Google Gemini',
    'google_ai',
    'https://generativelanguage.googleapis.com/v1beta/openai',
    ['GEMINI_API_KEY'],
    { url_env: ['GEMINI_BASE_URL'] },
  ),
  preset('openrouter', 'OpenRouter', 'openrouter', 'https://openrouter.ai/api/v1', ['OPENROUTER_API_KEY']),
  preset('groq', 'Groq', 'groq', 'https://api.groq.com/openai/v1', ['GROQ_API_KEY']),
  preset('xai', 'xAI', 'xai', 'https://api.x.ai/v1', ['XAI_API_KEY']),
  preset('deepseek', 'DeepSeek', 'deepseek', 'https://api.deepseek.com/v1', ['DEEPSEEK_API_KEY']),
  preset('mistral', 'Mistral', 'mistral', 'https://api.mistral.ai/v1', ['MISTRAL_API_KEY']),
  preset('together', 'Together', 'together', 'https://api.together.xyz/v1', ['TOGETHER_API_KEY']),
  preset('fireworks', 'Fireworks', 'fireworks', 'https://api.fireworks.ai/inference/v1', [
    'FIREWORKS_API_KEY',
  ]),
  preset('baseten', 'Baseten', 'baseten', 'https://inference.baseten.co/v1', ['BASETEN_API_KEY']),
  preset('zai', 'Z.ai', 'zai', 'https://api.z.ai/api/paas/v4', ['ZAI_API_KEY'], {
    url_env: ['ZAI_BASE_URL'],
  }),
  preset('minimax', 'MiniMax', 'minimax', 'https://api.minimax.io/v1', ['MINIMAX_API_KEY']),
  preset('azure', 'Azure OpenAI', 'azure', '', ['AZURE_API_KEY'], { url_env: ['AZURE_BASE_URL'] }),
  preset('ollama', 'Ollama', 'ollama', 'http://127.0.0.1:11434', ['OLLAMA_API_KEY'], {
    url_env: ['OLLAMA_BASE_URL'],
    local: true,
  }),
  preset('lmstudio', 'LM Studio', 'lmstudio_openai', 'http://127.0.0.1:1234', ['LMSTUDIO_API_KEY'], {
    url_env: ['LMSTUDIO_BASE_URL'],
    local: true,
  }),
  preset('vllm', 'vLLM', 'vllm', 'http://127.0.0.1:8000', ['VLLM_API_KEY'], {
    url_env: ['VLLM_API_BASE'],
    local: true,
  }),
  preset('sglang', 'SGLang', 'sglang', 'http://127.0.0.1:30000', ['SGLANG_API_KEY'], {
    url_env: ['SGLANG_API_BASE'],
    local: true,
  }),
]

/**
 * The providers that the environment names: hosted ones by their key, local ones by their URL. A value that is not a
 * URL is kept, so that the list of models can report it.
 */
export function providersFromEnv(env: Readonly<Record<string, string | undefined>>): ProviderConfig[] {
  const read = (names: string[]) => names.map((name) => env[name]?.trim()).find(Boolean)
  return PRESETS.flatMap((preset) => {
    const key = read(preset.key_env)
    const url = read(preset.url_env)
    const base_url = url ?? preset.base_url
    // A URL alone is enough: servers of one's own often want no key.
    if (base_url === '' || !(preset.local ? url : (key ?? url))) return []
    const { name, provider_type } = preset
    return [
      {
        name,
        provider_type,
        base_url,
        api_key: key ?? null,
        ...(provider_type === 'azure' ? { api_version: env.AZURE_API_VERSION ?? null } : {}),
        category: 'base' as const,
      },
    ]
  })
}

const ROOTED: readonly ProviderType[] = ['ollama', 'lmstudio_openai', 'vllm', 'sglang']

/** The URL without a trailing slash and, for servers with other APIs beside OpenAI's, without `/v1`. */
export function serverRoot(provider: ProviderConfig): string {
  return provider.base_url.replace(/\/+$/, '').replace(/\/v1$/, '')
}

/** Base URL of the API, no slash at the end. Local servers and Anthropic may be named with or without `/v1`. */
export function apiBase(provider: ProviderConfig): string {
  // ANTHROPIC_BASE_URL is written without it by everybody else.
  if (ROOTED.includes(provider.provider_type) || provider.provider_type === 'anthropic')
    return `${serverRoot(provider)}/v1`
  return provider.base_url.replace(/\/+$/, '')
}

/** Whether the provider runs on this machine or a private network, where answers may take long. */
export function isLocal(provider: ProviderConfig): boolean {
  if (ROOTED.includes(provider.provider_type)) return true
  const host = URL.parse(provider.base_url)?.hostname ?? ''
  if (/^(localhost|\[::1\]|.*\.(local|localhost|internal))$/.test(host)) return true
  return /^(127|10|192\.168|172\.(1[6-9]|2\d|3[01]))(\.\d+){2,3}$/.test(host)
}

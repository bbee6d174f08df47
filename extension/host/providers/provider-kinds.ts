import type { CreateProvider } from '../../../shared/schema/provider.ts'
import { t } from '../l10n.ts'

/** A kind of model provider, as the wizard offers it. */
export interface ProviderKind {
  /** The first part of its models' handles. */
  name: string
  title: string
  provider_type: CreateProvider['provider_type']
  /** Where to ask for an address, and what is usual there; absent for a hosted one, whose place the server knows. */
  url?: string
  /** It runs on a machine of the user's own and may want no key. */
  local?: true
}

/** Those that Loci knows by name, in the order in which they are offered. */
export const PROVIDER_KINDS: readonly ProviderKind[] = [
  { name: 'openai', title: 'OpenAI', provider_type: 'openai' },
  { name: 'anthropic', title: 'Anthropic', provider_type: 'anthropic' },
  { name: 'google_ai', title: 'Google Gemini', provider_type: 'google_ai' },
  { name: 'openrouter', title: 'OpenRouter', provider_type: 'openrouter' },
  { name: 'ollama', title: 'Ollama', provider_type: 'ollama', url: 'http://127.0.0.1:11434', local: true },
  {
    name: 'lmstudio',
    title: 'LM Studio',
    provider_type: 'lmstudio_openai',
    url: 'http://127.0.0.1:1234',
    local: true,
  },
  { name: 'groq', title: 'Groq', provider_type: 'groq' },
  { name: 'xai', title: 'xAI', provider_type: 'xai' },
  { name: 'deepseek', title: 'DeepSeek', provider_type: 'deepseek' },
  { name: 'mistral', title: 'Mistral', provider_type: 'mistral' },
  { name: 'together', title: 'Together', provider_type: 'together' },
  { name: 'azure', title: 'Azure OpenAI', provider_type: 'azure', url: '' },
  { name: 'vllm', title: 'vLLM', provider_type: 'vllm', url: 'http://127.0.0.1:8000', local: true },
  { name: 'sglang', title: 'SGLang', provider_type: 'sglang', url: 'http://127.0.0.1:30000', local: true },
  {
    name: 'custom',
    title: 'Another OpenAI-compatible server',
    provider_type: 'openai',
    url: '',
    local: true,
  },
]

/** What is wrong with a provider's address, in a sentence; null for a good one. */
export function checkProviderUrl(text: string): string | null {
  const url = URL.parse(text.trim())
  return url && /^https?:$/.test(url.protocol) ? null : t('Write it like https://example.com/v1.')
}

/** What is wrong with a provider's name, in a sentence; null for a good one. */
export function checkProviderName(text: string, taken: readonly string[]): string | null {
  const name = text.trim()
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
    return t("Letters, digits, '.', '_' and '-' only: it is the first part of the names of its models.")
  if (name === 'loci' || name === 'letta') return t('This name is taken by Loci itself.')
  return taken.includes(name) ? t('There is a provider {0} already.', name) : null
}

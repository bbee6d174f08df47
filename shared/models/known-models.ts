import type { ProviderType } from '../schema/model.ts'

/** Sizes that the lists of their providers do not tell. The first pattern that fits wins. */
const KNOWN: Partial<Record<ProviderType, [RegExp, number, number | null][]>> = {
  openai: [
    [/^gpt-5.*-chat/, 128_000, 16_384],
    [/^gpt-5\.[4-9](?!-(mini|nano))/, 1_050_000, 128_000],
    [/^gpt-5/, 400_000, 128_000],
    [/^gpt-4\.1/, 1_047_576, 32_768],
    [/^gpt-4\.5/, 128_000, 16_384],
    [/^(gpt-4o-2024-05-13)/, 128_000, 4096],
    [/^(gpt-4o|chatgpt-4o)/, 128_000, 16_384],
    [/^gpt-4-(turbo|1106|0125|vision)/, 128_000, 4096],
    [/^gpt-4-32k/, 32_768, null],
    [/^gpt-4/, 8192, null],
    [/^gpt-3\.5-turbo-instruct/, 4096, null],
    [/^gpt-3\.5/, 16_385, 4096],
    [/^o1-mini/, 128_000, 65_536],
    [/^o1-preview/, 128_000, 32_768],
    [/^(o1|o3|o4|codex-mini)/, 200_000, 100_000],
    [/gpt-oss/, 131_072, null],
  ],
  anthropic: [
    [/^claude-3-(opus|sonnet|haiku)/, 200_000, 4096],
    [/^claude-3-5/, 200_000, 8192],
    [/^claude-opus-4(-0|-1|-2025)/, 200_000, 32_000],
    [/^claude-(instant|2)/, 100_000, 4096],
    [/^claude/, 200_000, 64_000],
  ],
  google_ai: [
    [/^gemini-1\.5-pro/, 2_097_152, 8192],
    [/^gemini-(1\.5|2\.0)/, 1_048_576, 8192],
    [/^gemini/, 1_048_576, 65_536],
    [/^gemma/, 131_072, 8192],
  ],
  deepseek: [[/^deepseek/, 128_000, 8192]],
  xai: [
    [/^grok-4.*fast/, 2_000_000, null],
    [/^grok-(4|code)/, 256_000, null],
    [/^grok/, 131_072, null],
  ],
}

/** What is publicly known of a model's sizes in tokens, for providers that do not list them; null when nothing is. */
export function knownModel(
  type: ProviderType,
  id: string,
): { context_window: number; max_output_tokens: number | null } | null {
  const row = KNOWN[type === 'azure' ? 'openai' : type]?.find(([pattern]) => pattern.test(id))
  return row ? { context_window: row[1], max_output_tokens: row[2] } : null
}

/** OpenAI's models that think before they answer: no temperature of their own, but a `reasoning_effort`. */
export function isOpenAiReasoner(id: string): boolean {
  return /^(o[134]|codex-mini|gpt-5)/.test(id) && !/-chat/.test(id)
}

/**
 * How a model of Anthropic is asked to think: not at all, with a budget of tokens, or as much as it sees fit (all since
 * Claude 4.6, the only way since 4.7).
 */
export function anthropicThinking(id: string): 'none' | 'budget' | 'adaptive' {
  const name = id.replace(/^.*[/.](?=claude)/, '').replace(/(\d)\.(\d)/, '$1-$2')
  if (!name.startsWith('claude')) return 'none'
  if (/^claude-(instant|2|3-(opus|sonnet|haiku|5))/.test(name)) return 'none'
  if (/^claude-(3-7|(opus|sonnet|haiku)-4(-[0-5])?(-\d{6,}|-latest|@.*)?$)/.test(name)) return 'budget'
  return 'adaptive'
}

import type { CompactionSettings, CompactionSettingsInput } from '../../schema/compaction.ts'
import type { LlmConfig } from '../../schema/model.ts'
import type { Actor } from '../ports/actor.ts'
import type { Models } from '../ports/models.ts'
import { defaultPrompt } from './compaction-prompts.ts'

/** A small, cheap model of a provider, by the provider's name (reference 2.2). */
const CHEAP: Record<string, string> = {
  anthropic: 'anthropic/claude-haiku-4-5',
  openai: 'openai/gpt-5-mini',
  google_ai: 'google_ai/gemini-2.5-flash',
}

/** The summariser of an agent of which nobody said one: when it is not there, the agent's own model writes. */
function summariserOf(model: Pick<LlmConfig, 'provider_name' | 'handle'>): string | null {
  return CHEAP[model.provider_name ?? ''] ?? model.handle ?? null
}

/** Whether somebody chose the summariser of these settings: the default one may well not be there. */
export function isChosen(
  settings: Pick<CompactionSettings, 'model'>,
  model: Pick<LlmConfig, 'provider_name' | 'handle'>,
): boolean {
  return settings.model !== summariserOf(model)
}

/** Throws `model_not_found` for a summariser that could never be asked. */
export async function checkSummariser(
  models: Models,
  actor: Actor,
  asked: CompactionSettingsInput | null | undefined,
): Promise<void> {
  if (asked?.model != null) await models.resolve(actor, asked.model)
}

/** The whole settings of a new agent (defaults: reference 7.3). */
export function newCompactionSettings(
  asked: CompactionSettingsInput | null | undefined,
  model: Pick<LlmConfig, 'provider_name' | 'handle'>,
): CompactionSettings {
  const mode = asked?.mode ?? 'sliding_window'
  return {
    mode,
    model: asked?.model ?? summariserOf(model),
    model_settings: asked?.model_settings ?? null,
    prompt: asked?.prompt ?? defaultPrompt(mode),
    prompt_acknowledgement: asked?.prompt_acknowledgement ?? false,
    clip_chars: asked?.clip_chars ?? 50_000,
    sliding_window_percentage: asked?.sliding_window_percentage ?? 0.3,
  }
}

/**
 * The stored settings with what a request changes. A new mode takes its own default prompt unless one is given; a
 * model of another provider brings its own summariser, unless the present one was chosen (reference 2.5).
 */
export function changedCompactionSettings(
  present: CompactionSettings | null,
  asked: CompactionSettingsInput | null | undefined,
  model: {
    before: Pick<LlmConfig, 'provider_name' | 'handle'>
    now: Pick<LlmConfig, 'provider_name' | 'handle'>
  },
): CompactionSettings {
  const stored = present ?? newCompactionSettings(null, model.before)
  const next = { ...stored }
  if (stored.model === summariserOf(model.before)) next.model = summariserOf(model.now)
  for (const [key, value] of Object.entries(asked ?? {}))
    if (value != null) Object.assign(next, { [key]: value })
  if (next.mode !== stored.mode && asked?.prompt == null) next.prompt = defaultPrompt(next.mode)
  return next
}

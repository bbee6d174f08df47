import * as z from 'zod'
import { modelSettings } from './model.ts'
import { timestamp } from './page.ts'

export const COMPACTION_MODES = [
  'all',
  'sliding_window',
  'self_compact_all',
  'self_compact_sliding_window',
] as const
export const compactionMode = z.enum(COMPACTION_MODES)
export type CompactionMode = z.infer<typeof compactionMode>

/** How a conversation is made shorter when its context is full (V1 `CompactionSettings`, reference 7.3). */
export const compactionSettings = z.object({
  mode: compactionMode,
  /** Handle of the model that writes the summary; the `self_*` modes ask the agent's own. Null: the agent's own. */
  model: z.string().nullable(),
  model_settings: modelSettings.nullable(),
  /** Null: the default of the mode. */
  prompt: z.string().nullable(),
  prompt_acknowledgement: z.boolean(),
  /** Longest summary, in characters; null: only what the context window allows. */
  clip_chars: z.number().int().min(1).nullable(),
  /** Share of the context that a sliding window summarises at first. */
  sliding_window_percentage: z.number(),
})
export type CompactionSettings = z.infer<typeof compactionSettings>

/** As a request gives them: what is absent or null stays, or takes its default. */
export const compactionSettingsInput = z.object({
  mode: compactionMode.nullish(),
  model: z.string().min(1).nullish(),
  model_settings: modelSettings.nullish(),
  prompt: z.string().nullish(),
  prompt_acknowledgement: z.boolean().nullish(),
  clip_chars: z.number().int().min(1).nullish(),
  sliding_window_percentage: z.number().gt(0).lt(1).nullish(),
})
export type CompactionSettingsInput = z.infer<typeof compactionSettingsInput>

export const COMPACTION_TRIGGERS = [
  /** The step just made has filled the context window nearly. */
  'post_step_context_check',
  /** The provider called the request too long, or it was known to be before it was sent. */
  'context_window_exceeded',
  /** Somebody asked for it. */
  'manual',
] as const
export const compactionTrigger = z.enum(COMPACTION_TRIGGERS)
export type CompactionTrigger = z.infer<typeof compactionTrigger>

/** Sizes before and after (V1 `CompactionStats`); tokens are the provider's count where it is known, else an estimate. */
export const compactionStats = z.object({
  trigger: compactionTrigger,
  context_tokens_before: z.number().int().nullable(),
  context_tokens_after: z.number().int().nullable(),
  context_window: z.number().int(),
  messages_count_before: z.number().int(),
  messages_count_after: z.number().int(),
})
export type CompactionStats = z.infer<typeof compactionStats>

/** The record that every compaction leaves: ours, beyond V1. */
export const compaction = compactionStats.extend({
  id: z.string(),
  agent_id: z.string(),
  /** The agent's id for its default conversation; routes show that as null. */
  conversation_id: z.string().nullable(),
  run_id: z.string().nullable(),
  step_id: z.string().nullable(),
  mode: compactionMode,
  /** The mode that made the summary in the end: another one when that of the settings could not. */
  mode_used: compactionMode,
  /** Who wrote the summary; null: nobody, it was put together from the messages. */
  model: z.string().nullable(),
  /** No model could write the summary. */
  fallback: z.boolean(),
  /** What models that were asked in vain answered. */
  problems: z.array(z.string()),
  summary_message_id: z.string(),
  /** How many messages left the context, and the outermost of them; all stay in history. */
  evicted_count: z.number().int(),
  first_evicted_id: z.string(),
  last_evicted_id: z.string(),
  /** The oldest message that stayed behind the summary; null when none did. */
  first_kept_id: z.string().nullable(),
  duration_ms: z.number().int(),
  created_at: timestamp,
})
export type Compaction = z.infer<typeof compaction>

/** One record with the ids of all messages that went. */
export const compactionDetail = compaction.extend({ evicted_message_ids: z.array(z.string()) })
export type CompactionDetail = z.infer<typeof compactionDetail>

/** Body of the routes that compact now. */
export const compactionRequest = z.object({ compaction_settings: compactionSettingsInput.nullish() })

/** Answer of the routes that compact now (V1 `CompactionResponse`). */
export const compactionResponse = z.object({
  summary: z.string(),
  num_messages_before: z.number().int(),
  num_messages_after: z.number().int(),
})

/** What a conversation's context holds (V1 `ContextWindowOverview`, reference 7.1). */
export const contextWindowOverview = z.object({
  context_window_size_max: z.number().int(),
  context_window_size_current: z.number().int(),
  num_messages: z.number().int(),
  num_archival_memory: z.number().int(),
  num_recall_memory: z.number().int(),
  num_tokens_external_memory_summary: z.number().int(),
  external_memory_summary: z.string(),
  num_tokens_system: z.number().int(),
  system_prompt: z.string(),
  num_tokens_core_memory: z.number().int(),
  core_memory: z.string(),
  num_tokens_memory_filesystem: z.number().int(),
  memory_filesystem: z.string().nullable(),
  num_tokens_tool_usage_rules: z.number().int(),
  tool_usage_rules: z.string().nullable(),
  num_tokens_directories: z.number().int(),
  directories: z.string().nullable(),
  num_tokens_summary_memory: z.number().int(),
  summary_memory: z.string().nullable(),
  num_tokens_functions_definitions: z.number().int(),
  functions_definitions: z.array(z.record(z.string(), z.unknown())).nullable(),
  num_tokens_messages: z.number().int(),
  messages: z.array(z.record(z.string(), z.unknown())),
})
export type ContextWindowOverview = z.infer<typeof contextWindowOverview>

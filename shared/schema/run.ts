import * as z from 'zod'
import { stopReason } from './message.ts'
import { tag } from './names.ts'
import { jsonObject, timestamp } from './page.ts'

/** Nanoseconds since 1970, whole microseconds at best: more than an integer that JavaScript can count with. */
const instantNs = z.number().meta({ type: 'integer' })

export const runStatus = z.enum(['created', 'running', 'completed', 'failed', 'cancelled'])
export type RunStatus = z.infer<typeof runStatus>

/** One turn of an agent (V1 `Run`). `conversation_id` is null for the default conversation. */
export const run = z.object({
  id: z.string(),
  agent_id: z.string(),
  conversation_id: z.string().nullable(),
  status: runStatus,
  stop_reason: stopReason.nullable(),
  background: z.boolean(),
  created_at: timestamp,
  completed_at: timestamp.nullable(),
  metadata: jsonObject.nullable(),
  request_config: jsonObject.nullable(),
  base_template_id: z.string().nullable(),
  callback_url: z.string().nullable(),
  callback_sent_at: timestamp.nullable(),
  callback_status_code: z.number().int().nullable(),
  callback_error: z.string().nullable(),
  ttft_ns: z.number().int().nullable(),
  total_duration_ns: z.number().int().nullable(),
})
export type Run = z.infer<typeof run>

/** When the parts of a step began (nanoseconds since 1970) and how long they took. */
const stepTiming = z.object({
  step_start_ns: instantNs,
  llm_request_start_ns: instantNs,
  llm_request_ns: z.number().int(),
  tool_execution_ns: z.number().int().nullable(),
  step_ns: z.number().int(),
})

export const feedback = z.enum(['positive', 'negative'])

/** One model call of a run and what it cost, as it is stored. */
export const step = z.object({
  id: z.string(),
  run_id: z.string(),
  agent_id: z.string(),
  status: z.enum(['pending', 'success', 'failed', 'cancelled']),
  stop_reason: stopReason.nullable(),
  provider_name: z.string().nullable(),
  model: z.string().nullable(),
  model_handle: z.string().nullable(),
  model_endpoint: z.string().nullable(),
  context_window_limit: z.number().int().nullable(),
  completion_tokens: z.number().int(),
  prompt_tokens: z.number().int(),
  total_tokens: z.number().int(),
  cached_input_tokens: z.number().int().nullable(),
  cache_write_tokens: z.number().int().nullable(),
  reasoning_tokens: z.number().int().nullable(),
  error_type: z.string().nullable(),
  error_data: jsonObject.nullable(),
  created_at: timestamp,
  feedback: feedback.nullish(),
  tags: z.array(z.string()).optional(),
  timing: stepTiming.optional(),
  /** In US dollars; null when the provider does not tell its prices, or no usage. */
  cost_usd: z.number().nullish(),
})
export type Step = z.infer<typeof step>

/** A step as routes answer it (V1 `Step`, which has no time of creation). */
export const stepState = step.omit({ timing: true, created_at: true, cost_usd: true }).extend({
  origin: z.null(),
  provider_id: z.null(),
  provider_category: z.string().nullable(),
  completion_tokens_details: jsonObject.nullable(),
  prompt_tokens_details: jsonObject.nullable(),
  tags: z.array(z.string()),
  tid: z.null(),
  trace_id: z.null(),
  request_id: z.null(),
  messages: z.array(z.never()),
  feedback: feedback.nullable(),
  project_id: z.null(),
})
export type StepState = z.infer<typeof stepState>

/** V1 `StepMetrics`; times in nanoseconds. */
export const stepMetrics = z.object({
  id: z.string(),
  provider_id: z.null(),
  run_id: z.string(),
  agent_id: z.string(),
  step_start_ns: instantNs.nullable(),
  llm_request_start_ns: instantNs.nullable(),
  llm_request_ns: z.number().int().nullable(),
  tool_execution_ns: z.number().int().nullable(),
  step_ns: z.number().int().nullable(),
  base_template_id: z.null(),
  template_id: z.null(),
  project_id: z.null(),
})

/** V1 `RunMetrics`; times in nanoseconds, `tools_used` ids. */
export const runMetrics = z.object({
  id: z.string(),
  agent_id: z.string(),
  project_id: z.null(),
  run_start_ns: instantNs,
  run_ns: z.number().int().nullable(),
  num_steps: z.number().int(),
  tools_used: z.array(z.string()),
  template_id: z.null(),
  base_template_id: z.string().nullable(),
})

/** Token counts of a run (V1 `UsageStatistics`). */
export const runUsage = z.object({
  completion_tokens: z.number().int(),
  prompt_tokens: z.number().int(),
  total_tokens: z.number().int(),
  prompt_tokens_details: z
    .object({
      cached_tokens: z.number().int().nullable(),
      cache_read_tokens: z.number().int().nullable(),
      cache_creation_tokens: z.number().int().nullable(),
    })
    .nullable(),
  completion_tokens_details: z.object({ reasoning_tokens: z.number().int().nullable() }).nullable(),
})

/** Body of `PATCH /v1/steps/{id}/feedback`; absent fields stay as they are. */
export const modifyFeedback = z.object({
  feedback: feedback.nullish(),
  tags: z.array(tag).nullish(),
})

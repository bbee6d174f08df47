import * as z from 'zod'
import { stopReason } from './message.ts'
import { jsonObject, timestamp } from './page.ts'

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

/** One model call of a run and what it cost, as it is stored (V1 `Step`). */
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
})
export type Step = z.infer<typeof step>

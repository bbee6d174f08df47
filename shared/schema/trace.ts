import * as z from 'zod'
import { jsonObject, timestamp } from './page.ts'

/**
 * What went to a model in one step and what came back (V1 `ProviderTrace`). `request_json` is the body as the provider
 * got it, or our own shape where the model has no provider or is not there any more; images are named by their size.
 * `response_json` has `content`, `tool_calls`, `finish_reason`, `usage`, `timing` in
 * nanoseconds, `cost_usd` (null where the provider does not tell its prices) and, for a step that failed, `error`.
 */
export const providerTrace = z.object({
  id: z.string(),
  step_id: z.string(),
  agent_id: z.string(),
  agent_tags: z.array(z.string()).nullable(),
  run_id: z.string(),
  org_id: z.string(),
  call_type: z.literal('agent_step'),
  source: z.literal('loci'),
  request_json: jsonObject,
  response_json: jsonObject,
  compaction_settings: z.null(),
  llm_config: jsonObject.nullable(),
  billing_context: z.null(),
  created_at: timestamp,
  updated_at: z.null(),
  created_by_id: z.null(),
  last_updated_by_id: z.null(),
})
export type ProviderTrace = z.infer<typeof providerTrace>

/** A part of a run and how long it took, named as OpenTelemetry names the fields of a span. Times are nanoseconds since 1970. */
export const span = z.object({
  trace_id: z.string(),
  span_id: z.string(),
  parent_span_id: z.string().nullable(),
  name: z.enum(['agent_run', 'agent_step', 'llm_request', 'tool_execution', 'time_to_first_token']),
  start_time_unix_nano: z.number().meta({ type: 'integer' }),
  duration_ns: z.number().int().nullable(),
  status: z.string(),
  attributes: jsonObject,
})
export type Span = z.infer<typeof span>

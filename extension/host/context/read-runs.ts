import type { LociClient } from '../../../shared/client/http.ts'
import type { StepState } from '../../../shared/schema/run.ts'
import type { ProviderTrace, Span } from '../../../shared/schema/trace.ts'
import type { ContextRun, ContextStep, StepTrace } from '../../context-protocol.ts'

type Letta = LociClient['letta']
type RunState = Awaited<ReturnType<Letta['runs']['retrieve']>>

const ms = (nanoseconds: number | null | undefined) => (nanoseconds == null ? null : nanoseconds / 1e6)

/** What the list shows of a run. */
export function runOf(run: RunState): ContextRun {
  return {
    id: run.id,
    status: run.status ?? 'created',
    stop_reason: run.stop_reason ?? null,
    about: null,
    created_at: run.created_at ?? '',
    duration_ms: ms(run.total_duration_ns),
    first_token_ms: ms(run.ttft_ns),
  }
}

/** The steps of a run with their times, oldest first. Throws what the client throws. */
export async function readSteps(letta: Letta, run_id: string): Promise<ContextStep[]> {
  const [steps, spans] = await Promise.all([
    letta.get<StepState[]>(`/v1/runs/${run_id}/steps`, { query: { order: 'asc', limit: 1000 } }),
    letta.get<Span[]>(`/v1/runs/${run_id}/trace`),
  ])
  return steps.map((step) => stepOf(step, spans))
}

function stepOf(step: StepState, spans: readonly Span[]): ContextStep {
  const began = spans.find(({ name }) => name === 'agent_run')?.start_time_unix_nano ?? 0
  const whole = spans.find(({ span_id }) => span_id === step.id)
  const model = spans.find((span) => span.parent_span_id === step.id && span.name === 'llm_request')
  const tools = spans.find((span) => span.parent_span_id === step.id && span.name === 'tool_execution')
  const cost = whole?.attributes['cost_usd']
  return {
    id: step.id,
    status: step.status,
    stop_reason: step.stop_reason,
    model: step.model_handle,
    start_ms: whole ? Math.max(0, (whole.start_time_unix_nano - began) / 1e6) : 0,
    duration_ms: ms(whole?.duration_ns),
    model_start_ms: model ? Math.max(0, (model.start_time_unix_nano - began) / 1e6) : null,
    model_ms: ms(model?.duration_ns),
    tools_ms: ms(tools?.duration_ns),
    prompt_tokens: step.prompt_tokens,
    completion_tokens: step.completion_tokens,
    cached_tokens: step.cached_input_tokens,
    reasoning_tokens: step.reasoning_tokens,
    cost_usd: typeof cost === 'number' ? cost : null,
    error: errorOf(step),
  }
}

function errorOf({ error_type, error_data }: StepState): string | null {
  if (error_type === null) return null
  const said = error_data?.['message'] ?? error_data?.['detail']
  return typeof said === 'string' ? said : error_type
}

/** What went to the provider in a step and what came back; null when that is not kept any more. */
export async function readTrace(letta: Letta, step_id: string): Promise<StepTrace | null> {
  const trace = await letta.get<ProviderTrace | null>(`/v1/steps/${step_id}/trace`)
  if (!trace) return null
  return {
    request: JSON.stringify(trace.request_json, null, 2),
    response: JSON.stringify(trace.response_json, null, 2),
  }
}

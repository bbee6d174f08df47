import { isAppError } from '../schema/errors.ts'
import type { Run, Step } from '../schema/run.ts'
import type { ProviderTrace, Span } from '../schema/trace.ts'
import { toModelMessages } from './messages.ts'
import type { Actor } from './ports/actor.ts'
import type { CoreDeps } from './ports/deps.ts'
import type { ModelMessage, ModelRequest } from './ports/models.ts'
import type { Trace } from './ports/trace-store.ts'

/** The trace of a step, its request made again from what was stored; null when there is none (any more). */
export async function readTrace(deps: CoreDeps, actor: Actor, step: Step): Promise<ProviderTrace | null> {
  const trace = await deps.store.traces.get(actor, step.id)
  if (!trace) return null
  const error = step.error_type === null ? {} : { error: { type: step.error_type, ...step.error_data } }
  return {
    id: step.id.replace(/^step-/, 'provider_trace-'),
    step_id: step.id,
    agent_id: step.agent_id,
    agent_tags: null,
    run_id: step.run_id,
    org_id: actor.organization_id,
    call_type: 'agent_step',
    source: 'loci',
    request_json: {
      ...(await requestOf(deps, actor, trace)),
      ...(trace.missing.length > 0 ? { missing_messages: trace.missing } : {}),
    },
    response_json: {
      ...trace.response,
      ...error,
      ...(step.timing ? { timing: step.timing } : {}),
      cost_usd: step.cost_usd ?? null,
    },
    compaction_settings: null,
    llm_config: { handle: trace.model, context_window: step.context_window_limit },
    billing_context: null,
    created_at: step.created_at,
    updated_at: null,
    created_by_id: null,
    last_updated_by_id: null,
  }
}

/** The body as the provider got it; our own shape when the model cannot be had, or sends nothing anywhere. */
async function requestOf(deps: CoreDeps, actor: Actor, trace: Trace): Promise<Record<string, unknown>> {
  const { stream, ...settings } = trace.settings
  const [, ...rest] = toModelMessages(trace.context, trace.view)
  const messages: ModelMessage[] = [{ role: 'system', text: trace.system }, ...rest]
  const request: ModelRequest = { ...settings, messages: messages.map(withoutImages), tools: trace.tools }
  try {
    const { language_model } = await deps.models.resolve(actor, trace.model)
    const body = await language_model.preview?.(request, { stream })
    if (body) return body
  } catch (error) {
    if (!isAppError(error)) throw error
  }
  return { model: trace.model, ...request }
}

/** An image takes more room than all the rest, and shows nothing as text. */
function withoutImages(message: ModelMessage): ModelMessage {
  if (!('content' in message) || typeof message.content === 'string') return message
  const content = message.content.map((part) =>
    part.type === 'image' && part.source.type === 'base64'
      ? { ...part, source: { ...part.source, data: `(${part.source.data.length} characters of base64)` } }
      : part,
  )
  return { ...message, content }
}

/** A run as spans: itself, its first token, its steps, and their model calls and tools. */
export function spansOf(run: Run, steps: readonly Step[]): Span[] {
  const trace_id = run.id
  const began = Date.parse(run.created_at) * 1e6
  const root: Span = {
    trace_id,
    span_id: run.id,
    parent_span_id: null,
    name: 'agent_run',
    start_time_unix_nano: began,
    duration_ns: run.total_duration_ns,
    status: run.status,
    attributes: { agent_id: run.agent_id, stop_reason: run.stop_reason, num_steps: steps.length },
  }
  const firstToken: Span[] =
    run.ttft_ns === null
      ? []
      : [
          {
            ...root,
            span_id: `${run.id}-first-token`,
            parent_span_id: run.id,
            name: 'time_to_first_token',
            duration_ns: run.ttft_ns,
            attributes: {},
          },
        ]
  return [root, ...firstToken, ...steps.flatMap((step) => spansOfStep(trace_id, step))]
}

function spansOfStep(trace_id: string, step: Step): Span[] {
  const { timing } = step
  const whole: Span = {
    trace_id,
    span_id: step.id,
    parent_span_id: trace_id,
    name: 'agent_step',
    start_time_unix_nano: timing?.step_start_ns ?? Date.parse(step.created_at) * 1e6,
    duration_ns: timing?.step_ns ?? null,
    status: step.status,
    attributes: {
      model: step.model_handle,
      prompt_tokens: step.prompt_tokens,
      completion_tokens: step.completion_tokens,
      cached_input_tokens: step.cached_input_tokens,
      cost_usd: step.cost_usd ?? null,
      ...(step.error_type === null ? {} : { error_type: step.error_type }),
    },
  }
  if (!timing) return [whole]
  const part = (name: 'llm_request' | 'tool_execution', start: number, duration_ns: number): Span => ({
    ...whole,
    span_id: `${step.id}-${name}`,
    parent_span_id: step.id,
    name,
    start_time_unix_nano: start,
    duration_ns,
    attributes: {},
  })
  const { llm_request_start_ns, llm_request_ns, tool_execution_ns } = timing
  return [
    whole,
    part('llm_request', llm_request_start_ns, llm_request_ns),
    ...(tool_execution_ns === null
      ? []
      : [part('tool_execution', llm_request_start_ns + llm_request_ns, tool_execution_ns)]),
  ]
}

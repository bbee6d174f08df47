import type * as z from 'zod'
import type { Run, runMetrics, runUsage, Step, stepMetrics, StepState } from '../schema/run.ts'

/** The stored step as routes answer it; what Loci does not know is null, as in V1. */
export function toStepState({
  timing: _timing,
  created_at: _created,
  cost_usd: _cost,
  ...step
}: Step): StepState {
  return {
    ...step,
    origin: null,
    provider_id: null,
    provider_category: step.provider_name === null ? null : 'base',
    prompt_tokens_details: promptDetails(step),
    completion_tokens_details: completionDetails(step),
    tags: step.tags ?? [],
    tid: null,
    trace_id: null,
    request_id: null,
    messages: [],
    feedback: step.feedback ?? null,
    project_id: null,
  }
}

export function toStepMetrics(step: Step): z.infer<typeof stepMetrics> {
  const { timing } = step
  return {
    id: step.id,
    provider_id: null,
    run_id: step.run_id,
    agent_id: step.agent_id,
    step_start_ns: timing?.step_start_ns ?? null,
    llm_request_start_ns: timing?.llm_request_start_ns ?? null,
    llm_request_ns: timing?.llm_request_ns ?? null,
    tool_execution_ns: timing?.tool_execution_ns ?? null,
    step_ns: timing?.step_ns ?? null,
    base_template_id: null,
    template_id: null,
    project_id: null,
  }
}

/** Sums over the steps of a run. */
export function usageOf(steps: readonly Step[]): z.infer<typeof runUsage> {
  const sum = (pick: (step: Step) => number | null) =>
    steps.reduce<number | null>((total, step) => {
      const value = pick(step)
      return value === null ? total : (total ?? 0) + value
    }, null)
  const totals = {
    cached_input_tokens: sum((step) => step.cached_input_tokens),
    cache_write_tokens: sum((step) => step.cache_write_tokens),
    reasoning_tokens: sum((step) => step.reasoning_tokens),
  }
  return {
    completion_tokens: sum((step) => step.completion_tokens) ?? 0,
    prompt_tokens: sum((step) => step.prompt_tokens) ?? 0,
    total_tokens: sum((step) => step.total_tokens) ?? 0,
    prompt_tokens_details: promptDetails(totals),
    completion_tokens_details: completionDetails(totals),
  }
}

export function toRunMetrics(
  run: Run,
  steps: readonly Step[],
  tools_used: string[],
): z.infer<typeof runMetrics> {
  return {
    id: run.id,
    agent_id: run.agent_id,
    project_id: null,
    run_start_ns: Date.parse(run.created_at) * 1e6,
    run_ns: run.total_duration_ns,
    num_steps: steps.length,
    tools_used,
    template_id: null,
    base_template_id: run.base_template_id,
  }
}

function promptDetails(counts: Pick<Step, 'cached_input_tokens' | 'cache_write_tokens'>) {
  const { cached_input_tokens: cached, cache_write_tokens: created } = counts
  if (cached === null && created === null) return null
  return { cached_tokens: cached, cache_read_tokens: cached, cache_creation_tokens: created }
}

function completionDetails({ reasoning_tokens }: Pick<Step, 'reasoning_tokens'>) {
  return reasoning_tokens === null ? null : { reasoning_tokens }
}

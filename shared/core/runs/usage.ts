import type { UsageStatistics } from '../../schema/message.ts'
import type { Step } from '../../schema/run.ts'

/** The usage of a run from its steps, oldest first. */
export function usageOfSteps(run_id: string, steps: readonly Step[]): UsageStatistics {
  const answered = steps.filter((step) => step.status === 'success')
  const sum = (key: 'prompt_tokens' | 'completion_tokens' | 'total_tokens') =>
    answered.reduce((total, step) => total + step[key], 0)
  const known = (key: 'cached_input_tokens' | 'cache_write_tokens' | 'reasoning_tokens') =>
    answered.reduce<number | null>(
      (total, { [key]: tokens }) => (tokens === null ? total : (total ?? 0) + tokens),
      null,
    )
  const last = answered.findLast((step) => step.total_tokens > 0)
  return {
    message_type: 'usage_statistics',
    completion_tokens: sum('completion_tokens'),
    prompt_tokens: sum('prompt_tokens'),
    total_tokens: sum('total_tokens'),
    step_count: answered.length,
    run_ids: [run_id],
    cached_input_tokens: known('cached_input_tokens'),
    cache_write_tokens: known('cache_write_tokens'),
    reasoning_tokens: known('reasoning_tokens'),
    context_tokens: last?.total_tokens ?? null,
  }
}

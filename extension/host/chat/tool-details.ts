import type { LociClient } from '../../../shared/client/http.ts'
import { statusOf } from './turn-end.ts'

/** How long the tools of each step ran, in milliseconds; steps that ran none, or are gone, are left out. */
export async function toolTimes(
  letta: LociClient['letta'],
  steps: readonly string[],
): Promise<Record<string, number>> {
  const times = await Promise.all(
    steps.map(async (step): Promise<[string, number][]> => {
      try {
        const { tool_execution_ns } = await letta.steps.metrics.retrieve(step)
        return typeof tool_execution_ns === 'number' ? [[step, tool_execution_ns / 1e6]] : []
      } catch (error) {
        if (statusOf(error) === 404) return []
        throw error
      }
    }),
  )
  return Object.fromEntries(times.flat())
}

import * as z from 'zod'
import { defineTool } from '../tool.ts'
import { findRun, isActive } from './run-get.ts'

export const runCancel = defineTool({
  name: 'run_cancel',
  title: 'Stop a run',
  description: 'Stops a turn of an agent. What it has done and said so far stays.',
  about: 'run',
  input: { run_id: z.string().min(1) },
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  async run({ run_id }, call) {
    const { client, signal } = call
    const run = await findRun(call, run_id)
    if (!isActive(run) && run.stop_reason !== 'requires_approval')
      return `${run.id} has ended already (${run.status}); run_get shows its reply.`
    const results = await client.letta.agents.messages.cancel(
      run.agent_id,
      { run_ids: [run.id] },
      { signal, maxRetries: 0 },
    )
    const became = (results as Record<string, unknown>)[run.id]
    return became === 'cancelled'
      ? `Stopped ${run.id}. run_get shows what it has said so far.`
      : `${run.id} could not be stopped (${String(became)}); look at it with run_get.`
  },
})

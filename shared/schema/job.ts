import * as z from 'zod'
import { jsonObject, timestamp } from './page.ts'
import { stopReason } from './message.ts'

/** V1's older name for what goes on in the background: each run is a job too. */
export const job = z.object({
  id: z.string(),
  job_type: z.enum(['job', 'run', 'batch']),
  status: z.enum(['created', 'running', 'completed', 'failed', 'pending', 'cancelled', 'expired']),
  stop_reason: stopReason.nullable(),
  background: z.boolean().nullable(),
  agent_id: z.string().nullable(),
  metadata: jsonObject.nullable(),
  created_at: timestamp,
  updated_at: timestamp.nullable(),
  completed_at: timestamp.nullable(),
  created_by_id: z.string().nullable(),
  last_updated_by_id: z.string().nullable(),
  callback_url: z.string().nullable(),
  callback_sent_at: timestamp.nullable(),
  callback_status_code: z.number().int().nullable(),
  callback_error: z.string().nullable(),
  ttft_ns: z.number().int().nullable(),
  total_duration_ns: z.number().int().nullable(),
})
export type Job = z.infer<typeof job>

import type { RunStatus } from '../../schema/run.ts'

export interface RunFilter {
  agent_id?: string | undefined
  agent_ids?: string[] | undefined
  statuses?: RunStatus[] | undefined
  conversation_id?: string | undefined
  background?: boolean | undefined
  stop_reason?: string | undefined
}

export interface StepFilter {
  run_id?: string | undefined
  agent_id?: string | undefined
  model?: string | undefined
  feedback?: 'positive' | 'negative' | undefined
  has_feedback?: boolean | undefined
  /** Any of them. */
  tags?: string[] | undefined
  /** ISO 8601 instants; the end is exclusive. */
  start_date?: string | undefined
  end_date?: string | undefined
}

import { isAppError, messageOf } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { Run } from '../../schema/run.ts'
import type { TurnResult } from '../events.ts'
import { usageOfSteps } from './usage.ts'

/** What of a request its run keeps. */
interface RunRequest {
  agent_id: string
  /** The agent's id for its default conversation. */
  conversation_id: string
  background: boolean
  callback_url: string | null
  request_config: Record<string, unknown> | null
}

/** The store failed at the end of a turn: nothing more can be saved, and the caller must hear it. */
export function brokenResult(run_id: string, error: unknown): TurnResult {
  return {
    run_id,
    status: 'failed',
    stop_reason: 'error',
    usage: usageOfSteps(run_id, []),
    messages: [],
    logprobs: null,
    error: {
      type: 'internal_error',
      message: isAppError(error)
        ? error.message
        : 'the turn could not be saved; the server log has the details',
      detail: isAppError(error) ? error.code : messageOf(error),
      cause: error,
    },
  }
}

/** The row of a run that begins now. */
export function newRun(request: RunRequest, now: Date): Run {
  return {
    id: newId('run'),
    agent_id: request.agent_id,
    conversation_id: request.conversation_id === request.agent_id ? null : request.conversation_id,
    status: 'running',
    stop_reason: null,
    background: request.background,
    created_at: now.toISOString(),
    completed_at: null,
    metadata: null,
    request_config: request.request_config,
    base_template_id: null,
    callback_url: request.callback_url,
    callback_sent_at: null,
    callback_status_code: null,
    callback_error: null,
    ttft_ns: null,
    total_duration_ns: null,
  }
}

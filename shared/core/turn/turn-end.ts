import { AppError, isAppError, messageOf } from '../../schema/errors.ts'
import { COMPLETED_REASONS, type StopReason } from '../../schema/message.ts'
import type { Answer } from './answer.ts'
import type { TurnError } from '../events.ts'
import type { ResolvedModel } from '../ports/models.ts'

/** The status of a run that ended for this reason, without a cancellation. */
export function statusOf(stop_reason: StopReason): 'completed' | 'failed' {
  return COMPLETED_REASONS.includes(stop_reason) ? 'completed' : 'failed'
}

/**
 * An answer without words or calls ends a turn in silence only when the model says that it meant to. Throws
 * `llm_empty_response` or `llm_bad_request` otherwise.
 */
export function refuseNothing(model: ResolvedModel, answer: Answer): void {
  if (answer.text !== '') return
  if (answer.finish_reason === 'unknown')
    throw new AppError(
      'llm_empty_response',
      `the model ${model.handle} answered nothing, and not why; send the message again or choose another model`,
    )
  if (answer.finish_reason === 'content_filter')
    throw new AppError(
      'llm_bad_request',
      `the content filter of the provider of ${model.handle} held its answer back; say it in other words`,
    )
}

/** The stop reason of a turn that ended by this failure. */
export function stopReasonOf(error: unknown): StopReason {
  if (!isAppError(error)) return 'error'
  if (error.code === 'context_window_overflow_in_system_prompt') return error.code
  if (error.code === 'llm_insufficient_credits') return 'insufficient_credits'
  if (error.code === 'llm_empty_response') return 'invalid_llm_response'
  if (error.code.startsWith('llm_') || error.code === 'model_not_found') return 'llm_api_error'
  return 'error'
}

/** Why a turn ended that could not be stored any more, and what is there of it. */
export function notStored(cause: AppError, run_id: string): AppError {
  return new AppError(
    'store_unavailable',
    `The run '${run_id}' could not be saved any more, and has ended. Your message and the steps before are kept, and of ` +
      'this one what was said, where that could still be written: look before you send the message again. ' +
      cause.message,
    { cause, data: { run_id } },
  )
}

/** A failure as clients are told: V1's error type and a sentence; what is not ours to show stays in `cause`. */
export function describeError(error: unknown): TurnError & { cause: unknown } {
  const known = isAppError(error)
  const type =
    known && error.code.startsWith('llm_')
      ? error.code === 'llm_bad_request' ||
        error.code === 'llm_connection' ||
        error.code === 'llm_context_window'
        ? 'llm_error'
        : error.code
      : known && error.code === 'model_not_found'
        ? 'llm_error'
        : known && error.code === 'context_window_overflow_in_system_prompt'
          ? error.code
          : 'internal_error'
  return {
    type,
    message: known ? error.message : 'an unexpected error ended this turn; the server log has the details',
    detail: known ? error.code : messageOf(error),
    cause: error,
  }
}

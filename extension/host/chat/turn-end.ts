import { HANDED_OVER } from '../../../shared/schema/handed-over.ts'
import type { Fix, TurnEnd } from '../../protocol.ts'
import { t } from '../l10n.ts'

/** What failed, in a sentence, and the button that helps. */
export interface Failure {
  message: string
  fix: Fix | null
}

const ends = (): Record<string, Failure> => ({
  error: { message: t('The agent ran into an error.'), fix: null },
  llm_api_error: { message: t('The model could not be asked.'), fix: null },
  invalid_llm_response: { message: t('The model answered something that is no answer.'), fix: null },
  invalid_tool_call: { message: t('The model called a tool in a way that cannot be run.'), fix: null },
  insufficient_credits: { message: t('The provider wants to be paid first.'), fix: 'provider' },
  max_steps: { message: t('The agent took as many steps as it may for one message.'), fix: 'go-on' },
  max_tokens_exceeded: {
    message: t('The answer was cut: it reached the most tokens the model may write.'),
    fix: 'go-on',
  },
  context_window_overflow_in_system_prompt: {
    message: t(
      'The memory of the agent alone is larger than the context window of its model. Shorten a block, or choose a model with a larger window.',
    ),
    fix: 'model',
  },
})

const FIXES: Record<string, Fix> = {
  llm_authentication: 'provider',
  llm_insufficient_credits: 'provider',
  llm_connection: 'provider',
  model_not_found: 'model',
  llm_context_window: 'compact',
}

/** How the turn ended, by the stream's stop reason; null when the stream ended without one. */
export function endOf(reason: string | null, stopping: boolean): TurnEnd {
  if (reason === 'cancelled' || (reason === null && stopping)) return { outcome: 'stopped' }
  if (reason === null) {
    return {
      outcome: 'failed',
      message: t('The connection to the server was lost in mid-answer.'),
      fix: null,
    }
  }
  const failure = ends()[reason]
  return failure === undefined ? { outcome: 'done' } : { outcome: 'failed', ...failure }
}

interface Thrown {
  status?: unknown
  /** The body of a refusal, or of an error inside the stream. */
  error?: { message_type?: unknown; message?: unknown; detail?: unknown; error?: { type?: unknown } } | null
}

/** Whether the server has said how it ends: a refusal, or an error inside the stream. Else the connection broke. */
export function isAnswered(thrown: unknown): boolean {
  const { status, error } = (thrown ?? {}) as Thrown
  if (typeof status === 'number') return true
  return error?.message_type === 'error_message' && error.detail !== HANDED_OVER
}

/** The status of a refusal; null for any other failure. */
export function statusOf(thrown: unknown): number | null {
  const { status } = (thrown ?? {}) as Thrown
  return typeof status === 'number' ? status : null
}

/** What the server said, for people; null when it said nothing. */
export function failureOf(thrown: unknown): Failure | null {
  const { status, error } = (thrown ?? {}) as Thrown
  if (error?.message_type === 'error_message' && typeof error.message === 'string') {
    return { message: error.message, fix: FIXES[String(error.detail)] ?? null }
  }
  if (typeof status !== 'number') return null
  const detail = error?.detail
  if (isPendingApproval(detail)) {
    return {
      message: t('A tool call still waits for your approval. Answer it above, or deny it and send this.'),
      fix: 'deny',
    }
  }
  if (typeof detail !== 'string') return null
  if (detail.startsWith('CONVERSATION_BUSY')) {
    return {
      message: t('Somebody else, or another window, has a turn running in this conversation.'),
      fix: 'stop-other',
    }
  }
  return { message: detail.replace(/^[A-Z_]+: /, ''), fix: FIXES[String(error?.error?.type)] ?? null }
}

function isPendingApproval(detail: unknown): boolean {
  return (detail as { code?: unknown } | null | undefined)?.code === 'PENDING_APPROVAL'
}

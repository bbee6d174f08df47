import { AppError, ERROR_CODES } from '../../schema/errors.ts'
import type { Run } from '../../schema/run.ts'
import type { TurnError } from '../events.ts'

/** Why a run failed, as its row tells it: what the turn said, or a sentence when its process died. */
export function runError(run: Run): TurnError | null {
  if (run.status !== 'failed') return null
  const error = run.metadata?.['error']
  if (typeof error === 'string') return { type: 'internal_error', message: error, detail: 'interrupted' }
  if (typeof error !== 'object' || error === null) return null
  const { type, message, detail } = error as Partial<TurnError>
  return { type: type ?? 'internal_error', message: message ?? 'the turn failed', detail: detail ?? '' }
}

/** What a client is answered that asks for the turn again: the error that ended it; undefined for one that was not ours. */
export function causeOf(run_id: string, { message, detail }: TurnError): AppError | undefined {
  const code = detail === 'interrupted' ? 'store_unavailable' : ERROR_CODES.find((one) => one === detail)
  return code && new AppError(code, message, { data: { run_id } })
}

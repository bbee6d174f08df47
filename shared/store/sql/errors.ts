import { AppError } from '../../schema/errors.ts'

/** SQLite's result code for a broken rule. */
const SQLITE_CONSTRAINT = 19
/** PostgreSQL's class of errors for one: 23505 is a duplicate. */
const POSTGRES_CONSTRAINT = /^23[0-9A-Z]{3}$/

/** A UNIQUE, NOT NULL or foreign key rule refused the statement. */
export function isConstraint(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('errcode' in error && typeof error.errcode === 'number')
    return (error.errcode & 0xff) === SQLITE_CONSTRAINT
  return 'code' in error && typeof error.code === 'string' && POSTGRES_CONSTRAINT.test(error.code)
}

/** `store_unavailable` with this sentence. */
export function unavailable(text: string, cause?: unknown): AppError {
  return new AppError('store_unavailable', text, { cause })
}

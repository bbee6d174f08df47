import { AppError } from '../../schema/errors.ts'
import type { Problem } from './source-jobs.ts'

/** Characters of a tool's source, at most. */
export const MAX_SOURCE_CHARS = 512 * 1024

/** Throws for a source that is too long to be read. */
export function checkLength(source_code: string): void {
  if (source_code.length > MAX_SOURCE_CHARS)
    throw new AppError(
      'invalid_argument',
      `The source of the tool has ${source_code.length.toLocaleString('en')} characters, and ` +
        `${MAX_SOURCE_CHARS.toLocaleString('en')} is the most: keep data in files, or use a package.`,
    )
}

/** The error for a source that cannot be used: its first problem, and all of them in `data.problems`. */
export function refusal(problems: readonly Problem[]): AppError {
  const [first] = problems
  if (!first) return new AppError('internal', 'A source was refused without a reason.')
  const more = problems.length - 1
  return new AppError(
    'invalid_argument',
    `Line ${first.line}: ${first.message}${more > 0 ? ` (and ${more} more)` : ''}`,
    { data: { line: first.line, column: first.column, problems } },
  )
}

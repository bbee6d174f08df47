import type { Problem } from './source-jobs.ts'

/** What is wrong at a place of a tool's source; `message` says how to mend it. Lines and columns count from 1. */
export class SourceError extends Error {
  readonly line: number
  readonly column: number

  constructor(message: string, place: { line: number; column: number }) {
    super(message)
    this.name = 'SourceError'
    this.line = place.line
    this.column = place.column
  }
}

/** The place and text of an error of the source; throws every other one. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof SourceError)) throw error
  const { message, line, column } = error
  return { message, line, column }
}

import { isAppError, messageOf } from '../shared/schema/errors.ts'
import { columns, plain, red, wrap } from './terminal.ts'

/** 0 is success; 130 is what shells report for Ctrl-C. `drift` is that of `loci apply --dry-run`, as of `diff` and its kin. */
export const EXIT = { failure: 1, usage: 2, drift: 2, interrupted: 130 } as const

/** Something went wrong in a way the user can understand: the message is shown as it is. */
export class Failure extends Error {}

/** Writes one readable line to stderr; with LOCI_DEBUG=1 also where it happened. */
export function reportFailure(error: unknown): void {
  const expected = error instanceof Failure || isAppError(error)
  const text = expected
    ? messageOf(error)
    : `an unexpected error, please report it: ${messageOf(error)} (LOCI_DEBUG=1 shows where)`
  complain(text)
  if (process.env['LOCI_DEBUG'] === '1') printStacks(error)
}

function printStacks(error: unknown): void {
  for (let at = error; at instanceof Error; at = at.cause) {
    process.stderr.write(`${plain(at.stack ?? at.message)}\n`)
  }
}

/** Where a Loci in this process reports what went wrong on our side: one line, and with LOCI_DEBUG=1 the place. */
export function logFailure(where: string, error: unknown): void {
  complain(`${where}: ${messageOf(error)}`)
  if (process.env['LOCI_DEBUG'] === '1') printStacks(error)
}

/** `loci: …` as one line on stderr; broken to its width on a terminal. */
export function complain(text: string): void {
  const { stderr } = process
  const line = `loci: ${plain(text).replace(/\s*\n\s*/g, ' ')}`
  const shown = stderr.isTTY ? wrap(line, columns(stderr)) : line
  stderr.write(`${shown.replace(/^loci:/, red('loci:', stderr))}\n`)
}

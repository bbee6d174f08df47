import { messageOf } from '../shared/schema/errors.ts'
import { complain, EXIT, reportFailure } from './failure.ts'

/** Why a file that stdout leads to takes no more, in words. */
const WHY: Readonly<Record<string, string>> = {
  ENOSPC: 'there is no space left on its device',
  EDQUOT: 'your quota of disk space is used up',
  EFBIG: 'the file has become too large',
  EIO: 'its device reports an error',
}

/** Nothing of a failure is a stack trace, and a reader that goes away is none. To be called once, first. */
export function guardProcess(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // `loci … | head` closes our stdout: there is nobody left to tell.
    if (error.code === 'EPIPE') return
    complain(`stdout cannot be written: ${WHY[error.code ?? ''] ?? messageOf(error)}.`)
    process.exit(EXIT.failure)
  })
  // Nothing more can be told.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exit(EXIT.failure)
  })
  const crash = (error: unknown) => {
    reportFailure(error)
    process.exit(EXIT.failure)
  }
  process.on('uncaughtException', crash).on('unhandledRejection', crash)
}

/** Whatever a command left open (a socket in its keep-alive) does not hold the prompt back. */
export function endSoon(): void {
  setTimeout(() => process.exit(), 1000).unref()
}

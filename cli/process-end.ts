import { EXIT, reportFailure } from './failure.ts'

/** Nothing of a failure is a stack trace, and a reader that goes away is none. To be called once, first. */
export function guardProcess(): void {
  for (const stream of [process.stdout, process.stderr]) {
    // `loci … | head` closes our stdout: there is nobody left to tell.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
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

import { EXIT } from './failure.ts'

/** One Ctrl-C may arrive twice: from the terminal and from npm or the launcher, which pass it on. In milliseconds. */
const SAME_SIGNAL = 500

/**
 * Resolves at the first SIGINT, SIGTERM or SIGHUP, for an orderly end. A second one, later than what is one and the
 * same, ends the process at once.
 */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first = 0
    const stop = (signal: NodeJS.Signals) => {
      const now = performance.now()
      if (first === 0) {
        first = now
        resolve(signal)
      } else if (now - first > SAME_SIGNAL) process.exit(EXIT.interrupted)
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      // Emitted without an argument when the launcher is gone.
      process.on(signal, () => stop(signal))
    }
  })
}

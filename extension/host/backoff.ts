/** How long to wait before trying again: doubling from `first`, never above `max`. All in milliseconds. */
export interface Backoff {
  /** The next wait, longer than the one before. */
  next(): number
  /** What was tried works: begin again with the shortest wait. */
  reset(): void
  /** Waits handed out since the last reset. */
  readonly attempts: number
}

/** A fifth of each wait is random, so that several windows do not knock at the same moment. */
export function createBackoff(first = 500, max = 30_000, random: () => number = Math.random): Backoff {
  let attempts = 0
  return {
    next() {
      const wait = Math.min(first * 2 ** attempts, max)
      attempts += 1
      return Math.round(wait * (0.8 + 0.2 * random()))
    },
    reset() {
      attempts = 0
    },
    get attempts() {
      return attempts
    },
  }
}

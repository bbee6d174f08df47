import { isAppError, messageOf } from '../schema/errors.ts'
import type { Log } from './log.ts'

/** How often a store that could not be used is asked whether it is back, in milliseconds. */
const LOOK_EVERY_MS = 1_000

/** The failures of a server as its log has them: a store that is away is one line, and another one when it is back. */
export interface Outages {
  failure: Log['failure']
  /** Asks no more. */
  stop(): void
}

/** `ready` rejects as long as the store cannot be used. The caller stops it before it closes the store. */
export function watchOutages(
  log: Pick<Log, 'failure' | 'warn' | 'error'>,
  ready: () => Promise<void>,
): Outages {
  let looking: NodeJS.Timeout | null = null
  let stopped = false
  const look = async (since: number) => {
    try {
      await ready()
    } catch {
      // It was said that it is away.
      lookLater(since)
      return
    }
    looking = null
    if (stopped) return
    const seconds = Math.max(1, Math.round((performance.now() - since) / 1000))
    log.warn('store', `can be used again, about ${seconds} s after it was said that it cannot`)
  }
  const lookLater = (since: number) => {
    if (!stopped) looking = setTimeout(() => void look(since), LOOK_EVERY_MS).unref()
  }
  return {
    failure(where, error, request_id) {
      if (!isAppError(error, 'store_unavailable')) return log.failure(where, error, request_id)
      if (looking || stopped) return
      lookLater(performance.now())
      // Where it was noticed says nothing.
      log.error('store', `${messageOf(error)} (This is said once, and when it is back.)`)
    },
    stop() {
      stopped = true
      if (looking) clearTimeout(looking)
    },
  }
}

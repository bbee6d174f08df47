import type { LociClient } from '../../shared/client/http.ts'
import type { Event } from '../../shared/schema/event.ts'
import { createBackoff } from './backoff.ts'
import { delay } from './delay.ts'

export interface FeedHandlers {
  /** The feed is (again) connected. `resumed` says that nothing was missed: it went on where it had stopped. */
  ready(resumed: boolean): void
  /** Changes since the last call, oldest first. A burst comes in one call. */
  changed(events: Event[]): void
  /** The connection is lost or refused; it is tried again by itself. */
  lost(error: unknown): void
  /** The server has no feed, as V1 servers that are not Loci: nothing is tried again. */
  none(): void
}

/** Events that arrive within this time are handed over together, in milliseconds. */
const BURST = 40

/**
 * Follows the server's changes until `signal` aborts, reconnecting with the cursor and growing pauses. Never rejects.
 */
export async function followEvents(
  client: Pick<LociClient, 'events'>,
  handlers: FeedHandlers,
  { signal, backoff = createBackoff() }: { signal: AbortSignal; backoff?: ReturnType<typeof createBackoff> },
): Promise<void> {
  let cursor: number | undefined
  const burst = collectBursts((events) => handlers.changed(events))
  signal.addEventListener('abort', () => burst.drop())
  while (!signal.aborted) {
    try {
      for await (const item of client.events(cursor, { signal })) {
        if (item.type === 'ready') {
          backoff.reset()
          if (item.reset) cursor = undefined
          handlers.ready(cursor !== undefined)
          // A resumed feed has the missed events still to come: `ready` must not skip them.
          cursor ??= item.id
        } else {
          cursor = Math.max(cursor ?? 0, item.id)
          burst.add(item)
        }
      }
    } catch (error) {
      if (!signal.aborted && hasNoFeed(error)) {
        burst.drop()
        return handlers.none()
      }
      if (!signal.aborted) handlers.lost(error)
    }
    await delay(signal.aborted ? 0 : backoff.next(), signal)
  }
}

function hasNoFeed(error: unknown): boolean {
  const { status, code } = error as { status?: unknown; code?: unknown }
  return status === 404 || status === 405 || status === 501 || code === 'not_implemented'
}

function collectBursts(deliver: (events: Event[]) => void) {
  let waiting: Event[] = []
  let timer: NodeJS.Timeout | undefined
  return {
    add(event: Event) {
      waiting.push(event)
      timer ??= setTimeout(() => {
        timer = undefined
        const events = waiting
        waiting = []
        deliver(events)
      }, BURST)
    },
    drop() {
      clearTimeout(timer)
      timer = undefined
      waiting = []
    },
  }
}

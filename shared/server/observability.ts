import type { Fetch } from './listen.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Observer } from './observe.ts'

/** Those who look at what this process does: none of them is loaded unless it is asked for. */
export interface Observability {
  metrics: Metrics | null
  observers: readonly Observer[]
  /** The same answers, seen by all of them. */
  requests: (fetch: Fetch) => Fetch
  /** A WebSocket opened or closed. */
  socket: (change: 1 | -1) => void
  /** Sends what is still to be sent, within a time limit. */
  close(): Promise<void>
}

/** Opens what configuration and environment ask for. The caller closes it, after everything that is looked at. */
export async function openObservability(options: {
  /** Count for `/metrics`. */
  metrics: boolean
  log: Log | null
}): Promise<Observability> {
  const { log } = options
  const metrics = options.metrics ? await (await import('./metrics.ts')).openMetrics() : null
  const observers = [metrics?.observer].filter((observer) => observer !== undefined)
  const around = [log?.requests, metrics?.requests].filter((seen) => seen !== undefined)
  return {
    metrics,
    observers,
    requests: (fetch) => around.reduce((inner, seen) => seen(inner), fetch),
    socket: (change) => metrics?.socket(change),
    close() {
      metrics?.close()
      return Promise.resolve()
    },
  }
}

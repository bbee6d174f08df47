import type { Fetch } from './listen.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Observer } from './observe.ts'

type Environment = Record<string, string | undefined>

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
  env: Environment
  log: Log | null
}): Promise<Observability> {
  const { env, log } = options
  const metrics = options.metrics ? (await import('./metrics.ts')).openMetrics() : null
  const warn = (reason: string) => log?.warn('traces', reason)
  const tracing = wantsTraces(env, warn) ? await (await import('./tracing.ts')).openTracing(env, warn) : null
  const all = [log, metrics, tracing].filter((seen) => seen !== null)
  const observers = [log, metrics, tracing].flatMap((seen) => seen?.observer ?? [])
  return {
    metrics,
    observers,
    requests: (fetch) => all.reduce((inner, { requests }) => requests(inner), fetch),
    socket: (change) => metrics?.socket(change),
    async close() {
      await tracing?.close()
      metrics?.close()
    },
  }
}

/** Whether the environment asks for traces: it names a collector that can be, and switches nothing off. */
function wantsTraces(env: Environment, warn: (reason: string) => void): boolean {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return false
  const exporter = env['OTEL_TRACES_EXPORTER']?.trim()
  if (exporter && exporter !== 'otlp') return false
  const names = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT']
  const name = names.find((name) => env[name])
  if (name === undefined) return false
  const given = env[name] ?? ''
  if (['http:', 'https:'].includes(URL.parse(given)?.protocol ?? '')) return true
  warn(
    `${name} '${given}' is no address of a collector; write it like http://localhost:4318. No traces are sent`,
  )
  return false
}

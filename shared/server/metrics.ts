import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { isAppError } from '../schema/errors.ts'
import { pathOf } from './app.ts'
import type { Fetch } from './listen.ts'
import type { Observer } from './observe.ts'
import { routeOf } from './route-of.ts'

/** What Prometheus reads of this process. */
export interface Metrics {
  observer: Observer
  /** The same answers, counted. */
  requests: (fetch: Fetch) => Fetch
  /** How long a write took: in its transaction, locks of other processes included, and until it was on disk. */
  written(timing: { commit_ms: number; flush_ms: number }): void
  /** How much waits, by queue, asked for when Prometheus asks. */
  queues(read: () => Promise<Record<string, number>>): void
  /** A WebSocket opened or closed. */
  socket(change: 1 | -1): void
  text(): Promise<{ text: string; content_type: string }>
  close(): void
}

/** Different models that are told apart; the rest are one. Names come from users, and series are for ever. */
const MOST_MODELS = 100

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** Paths that no route of the API answers. */
const OTHER_PATHS = new Set(['/mcp', '/docs', '/openapi.json'])
/** Of tools, who made them: their names come from users. */
const OWN_TOOLS: Record<string, string> = { custom: 'custom', external_mcp: 'mcp' }

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const WRITE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]

/** Begins to count. This module is loaded by those alone who want metrics: prom-client takes long to load. */
export function openMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const counter = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Counter({ name: `loci_${name}`, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: L[] = [], buckets = SECONDS) =>
    new Histogram({ name: `loci_${name}_seconds`, help, labelNames, buckets, registers })

  const http = counter('http_requests_total', 'Answered requests', ['method', 'route', 'status'])
  const httpTime = histogram('http_request_duration', 'Time until an answer begins', ['method', 'route'])
  const running = new Gauge({ name: 'loci_turns_running', help: 'Turns under way', registers })
  const sockets = new Gauge({ name: 'loci_websockets_open', help: 'Open WebSockets', registers })
  const turns = counter('turns_total', 'Turns that have ended', ['status'])
  const turnTime = histogram('turn_duration', 'Time of whole turns', ['status'])
  const steps = counter('steps_total', 'Answered model calls of turns that have ended')
  const calls = counter('model_calls_total', 'Model calls, those outside of turns too', ['model', 'outcome'])
  const callTime = histogram('model_call_duration', 'Time of model calls', ['model'])
  const firstTime = histogram('model_first_token', 'Time until a model begins to answer', ['model'])
  const tokens = counter('model_tokens_total', 'Tokens as providers count them', ['model', 'type'])
  const errors = counter('model_errors_total', 'Failed model calls', ['model', 'kind'])
  const tools = counter('tool_calls_total', 'Tool calls that were made', ['kind', 'outcome'])
  const toolTime = histogram('tool_call_duration', 'Time of tool calls', ['kind'])
  const commit = histogram('store_commit', 'Time of write transactions', [], WRITE_SECONDS)
  const flush = histogram('store_flush', 'Time until a write is on disk', [], WRITE_SECONDS)

  const models = new Set<string>()
  const labelOf = (model: string) => {
    if (!models.has(model) && models.size >= MOST_MODELS) return 'other'
    models.add(model)
    return model
  }

  return {
    observer: {
      turn() {
        const began = performance.now()
        running.inc()
        return {
          end(outcome) {
            running.dec()
            const status = outcome?.status ?? 'failed'
            turns.inc({ status })
            turnTime.observe({ status }, (performance.now() - began) / 1000)
            steps.inc(outcome?.usage.step_count ?? 0)
          },
        }
      },
      model: ({ model: { handle } }) => ({
        end({ status, error, usage, first_ms, ms }) {
          const model = labelOf(handle)
          calls.inc({ model, outcome: status })
          callTime.observe({ model }, ms / 1000)
          if (first_ms !== null && status === 'success') firstTime.observe({ model }, first_ms / 1000)
          if (status === 'failed') errors.inc({ model, kind: isAppError(error) ? error.code : 'internal' })
          if (!usage) return
          tokens.inc({ model, type: 'input' }, usage.prompt_tokens)
          tokens.inc({ model, type: 'output' }, usage.completion_tokens)
          tokens.inc({ model, type: 'cached_input' }, usage.cached_input_tokens ?? 0)
          tokens.inc({ model, type: 'reasoning' }, usage.reasoning_tokens ?? 0)
        },
      }),
      tool: ({ tool }) => ({
        end({ status, ms }) {
          const kind = OWN_TOOLS[tool.tool_type] ?? 'builtin'
          tools.inc({ kind, outcome: status })
          toolTime.observe({ kind }, ms / 1000)
        },
      }),
    },
    requests: (fetch) => async (request) => {
      const began = performance.now()
      const answer = await fetch(request)
      const path = pathOf(request)
      const route = routeOf(request) ?? (OTHER_PATHS.has(path) ? path : 'none')
      const method = METHODS.has(request.method) ? request.method : 'other'
      http.inc({ method, route, status: answer.status })
      httpTime.observe({ method, route }, (performance.now() - began) / 1000)
      return answer
    },
    written({ commit_ms, flush_ms }) {
      commit.observe(commit_ms / 1000)
      flush.observe(flush_ms / 1000)
    },
    socket: (change) => sockets.inc(change),
    queues(read) {
      const gauge = new Gauge({
        name: 'loci_queue_depth',
        help: 'What waits to be done, of all processes on the data; messages: in this process',
        labelNames: ['queue'],
        registers: [],
        async collect() {
          for (const [queue, n] of Object.entries(await read())) this.set({ queue }, n)
        },
      })
      registry.registerMetric(gauge)
    },
    text: async () => ({ text: await registry.metrics(), content_type: registry.contentType }),
    close: () => registry.clear(),
  }
}

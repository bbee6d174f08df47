import { destination, type Level, pino } from 'pino'
import { AppError } from '../schema/errors.ts'
import { pathOf } from './app.ts'
import type { Fetch } from './listen.ts'
import { requestId } from './request-id.ts'

export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What the server says on stderr: never a header, a query, a body or a key. */
export interface Log {
  /** The same answers, with one line each. */
  requests: (fetch: Fetch) => Fetch
  /** A failure of ours. */
  failure: (where: string, error: unknown, request_id?: string) => void
  /** What others do wrong and somebody should know: no text of theirs, which might be anything. */
  warn: (where: string, reason: string) => void
  /** Writes out what is still held back. */
  close(): void
}

/** How long a line about a request may be held back, in milliseconds. */
const FLUSH_MS = 200

/** Paths that monitors ask for all the time. */
const MONITORED = /^\/v1\/(?:health|ready)$/

/** The level that a user wrote; throws `invalid_argument` for what is none. */
export function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text.toLowerCase())
  if (level) return level
  throw new AppError('invalid_argument', `'${text}' is no log level; it is one of ${LOG_LEVELS.join(', ')}`)
}

/** Logs as JSON lines on stderr, or as short lines to read when that is a terminal. The caller closes it. */
export function openLog(level: LogLevel): Log {
  const terminal = process.stderr.isTTY
  // A write for each line would cost more than the line.
  const file = terminal ? null : destination({ fd: 2, sync: false, minLength: 4096 })
  let flushing: NodeJS.Timeout | null = null
  const flushSoon = () => {
    flushing ??= setTimeout(() => {
      flushing = null
      file?.flush()
    }, FLUSH_MS).unref()
  }
  const log = pino(
    { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    file ?? { write: (line: string) => void process.stderr.write(readable(line)) },
  )
  return {
    requests: (fetch) => async (request) => {
      const began = performance.now()
      const answer = await fetch(request)
      const path = pathOf(request)
      const at: Level = answer.status >= 500 ? 'error' : MONITORED.test(path) ? 'debug' : 'info'
      if (log.isLevelEnabled(at)) {
        const ms = Math.round((performance.now() - began) * 10) / 10
        const { status } = answer
        // The store's state, which only its owner can mend.
        const reason = status === 503 ? await detailOf(answer) : undefined
        log[at]({ request_id: requestId(request), method: request.method, path, status, ms, reason })
        flushSoon()
      }
      return answer
    },
    failure(where, error, request_id) {
      const err = error instanceof Error ? describe(error) : { message: String(error) }
      log.error({ ...(request_id === undefined ? {} : { request_id }), where, err })
      file?.flush()
    },
    warn(where, reason) {
      log.warn({ where, reason })
      flushSoon()
    },
    close() {
      // The end of a process does not wait for writes.
      if (flushing) clearTimeout(flushing)
      file?.flushSync()
    },
  }
}

/** What an error answer says. */
async function detailOf(answer: Response): Promise<string | undefined> {
  const { detail } = (await answer.clone().json()) as { detail?: unknown }
  return typeof detail === 'string' ? detail : undefined
}

/** An error with its causes; not every field of it, which might be anything. */
function describe(error: Error): Record<string, unknown> {
  const { name, message, stack, cause } = error
  return { type: name, message, stack, ...(cause instanceof Error ? { cause: describe(cause) } : {}) }
}

interface Line {
  time: string
  request_id?: string
  method?: string
  path?: string
  status?: number
  ms?: number
  reason?: string
  where?: string
  err?: { message?: string; stack?: string }
}

function readable(json: string): string {
  const line = JSON.parse(json) as Line
  const time = line.time.slice(11, 19)
  if (line.method !== undefined) {
    const reason = line.reason === undefined ? '' : `: ${line.reason}`
    return `${time} ${line.method} ${line.path} ${line.status} ${line.ms} ms${reason}\n`
  }
  const request = line.request_id === undefined ? '' : ` (request ${line.request_id})`
  return `${time} ${line.where}${request}: ${line.err?.stack ?? line.err?.message ?? line.reason}\n`
}

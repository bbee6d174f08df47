import { destination, type Level, type Logger, pino } from 'pino'
import { AppError, isAppError } from '../schema/errors.ts'
import { pathOf } from './app.ts'
import { isSentAway } from './errors.ts'
import type { Fetch } from './listen.ts'
import type { ModelOutcome, ObservedModelCall, Observer, Watch } from './observe.ts'
import { Redactor } from './redact.ts'
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
  /** What stops the server from doing its work, in a sentence: where in the program it was noticed does not matter. */
  error: (where: string, reason: string) => void
  /** Lines for turns that fail, and, from level `debug` on, for each model call. */
  observer: Observer
  /** Hides what it knows, and what looks like a secret, in every line. */
  redactor: Redactor
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
  const redactor = new Redactor()
  const hide = (text: string) => redactor.hide(text)
  return {
    redactor,
    observer: {
      turn: ({ run_id, agent }) => ({
        end(outcome) {
          if (outcome?.status !== 'failed') return
          const { stop_reason, error } = outcome
          // Not in the words of a provider, which might be anything.
          log.warn({ where: 'turn', run_id, agent_id: agent.id, stop_reason, code: error?.type })
          flushSoon()
        },
      }),
      ...(log.isLevelEnabled('debug') ? { model: (call) => modelLine(call, log, flushSoon) } : {}),
    },
    requests: (fetch) => async (request) => {
      const began = performance.now()
      const answer = await fetch(request)
      const path = pathOf(request)
      const at: Level = levelOf(answer, path)
      if (log.isLevelEnabled(at)) {
        const ms = Math.round((performance.now() - began) * 10) / 10
        const { status } = answer
        // The store's state, which only its owner can mend.
        const reason = status === 503 ? await detailOf(answer) : undefined
        const line = { request_id: requestId(request), method: request.method, path: hide(path), status, ms }
        log[at]({ ...line, reason: reason === undefined ? undefined : hide(reason) })
        flushSoon()
      }
      return answer
    },
    failure(where, error, request_id) {
      const err = error instanceof Error ? describe(error, hide) : { message: hide(String(error)) }
      log.error({ ...(request_id === undefined ? {} : { request_id }), where: hide(where), err })
      file?.flush()
    },
    warn(where, reason) {
      log.warn({ where, reason: hide(reason) })
      flushSoon()
    },
    error(where, reason) {
      log.error({ where, reason: hide(reason) })
      flushSoon()
    },
    close() {
      // The end of a process does not wait for writes.
      if (flushing) clearTimeout(flushing)
      file?.flushSync()
    },
  }
}

/** Failures that are ours are errors; those of providers and MCP servers, which were asked, are somebody else's. */
function levelOf(answer: Response, path: string): Level {
  const { status } = answer
  if (status === 502 || status === 504) return 'warn'
  if (status >= 500 && status !== 501 && !isSentAway(answer)) return 'error'
  return MONITORED.test(path) ? 'debug' : 'info'
}

/** What an error answer says. */
async function detailOf(answer: Response): Promise<string | undefined> {
  const { detail } = (await answer.clone().json()) as { detail?: unknown }
  return typeof detail === 'string' ? detail : undefined
}

/** An error with its causes; not every field of it, which might be anything. */
function describe(error: Error, hide: (text: string) => string): Record<string, unknown> {
  const { name, message, stack, cause } = error
  return {
    type: name,
    message: hide(message),
    stack: stack === undefined ? undefined : hide(stack),
    ...(cause instanceof Error ? { cause: describe(cause, hide) } : {}),
  }
}

/** A line about a call: no word of what was said, nor of what the provider said of a failure. */
function modelLine(
  { model, request, stream }: ObservedModelCall,
  log: Logger,
  flushSoon: () => void,
): Watch<ModelOutcome> {
  return {
    end({ status, error, usage, finish_reason, first_ms, ms }) {
      const round = (time: number) => Math.round(time * 10) / 10
      const failure = isAppError(error) ? { code: error.code, answered: error.data['status'] } : {}
      log.debug({
        where: 'model',
        model: model.handle,
        provider: model.info.provider_name,
        status,
        ...(status === 'failed' ? failure : {}),
        ms: round(ms),
        first_ms: first_ms === null ? undefined : round(first_ms),
        stream,
        messages: request.messages.length,
        tools: request.tools.length,
        ...(usage
          ? {
              prompt_tokens: usage.prompt_tokens,
              completion_tokens: usage.completion_tokens,
              cached_input_tokens: usage.cached_input_tokens ?? undefined,
              reasoning_tokens: usage.reasoning_tokens ?? undefined,
            }
          : {}),
        finish_reason: finish_reason ?? undefined,
      })
      flushSoon()
    },
  }
}

interface Line {
  time: string
  request_id?: string
  method?: string
  path?: string
  status?: number | string
  ms?: number
  reason?: string
  where?: string
  err?: { message?: string; stack?: string }
  run_id?: string
  code?: string
  stop_reason?: string
  model?: string
  answered?: number
  prompt_tokens?: number
  completion_tokens?: number
}

function readable(json: string): string {
  const line = JSON.parse(json) as Line
  const time = line.time.slice(11, 19)
  if (line.method !== undefined) {
    const reason = line.reason === undefined ? '' : `: ${line.reason}`
    return `${time} ${line.method} ${line.path} ${line.status} ${line.ms} ms${reason}\n`
  }
  if (line.model !== undefined) {
    const tokens =
      line.prompt_tokens === undefined ? '' : ` ${line.prompt_tokens}+${line.completion_tokens} tokens`
    const code =
      line.code === undefined
        ? ''
        : ` ${line.code}${line.answered === undefined ? '' : ` (${line.answered})`}`
    return `${time} model ${line.model} ${line.status}${code} ${line.ms} ms${tokens}\n`
  }
  if (line.run_id !== undefined)
    return `${time} turn ${line.run_id} failed: ${line.code ?? line.stop_reason}\n`
  const request = line.request_id === undefined ? '' : ` (request ${line.request_id})`
  return `${time} ${line.where}${request}: ${line.err?.stack ?? line.err?.message ?? line.reason}\n`
}

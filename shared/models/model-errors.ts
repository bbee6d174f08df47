import { WINDOW_HEADER } from '../schema/editor.ts'
import { AppError, messageOf } from '../schema/errors.ts'
import type { ErrorCode } from '../schema/errors.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { isLocal } from './providers.ts'

/** How much of a provider's own text is repeated. */
const MAX_DETAIL = 600

/** A failure of a model call and whether asking again may help. */
export interface Failure {
  error: AppError
  retry: boolean
  /** The provider has too much to do, or limits the rate: it will pass. */
  overload: boolean
  /** What the provider asked us to wait. */
  retry_after_ms: number | null
}

/** Where a request went: for texts, without credentials or query. */
export interface Place {
  provider: ProviderConfig
  url: string
}

/** A URL fit for messages: no user, password, query or fragment. */
export function displayUrl(url: string): string {
  const parsed = URL.parse(url)
  return parsed ? `${parsed.origin}${parsed.pathname}` : url
}

/** The provider answered with this HTTP status. `body` is the answer as text. */
export function statusFailure(
  place: Place,
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: string,
): Failure {
  const detail = explain(body)
  const code = codeOf(status, detail)
  const location = headers.location
  const said = status >= 300 && status < 400 ? `a redirect to ${displayUrl(String(location))}` : detail.text
  const text = sentence(
    `${place.provider.name} at ${place.url} answered ${status}`,
    clean(said, place.provider),
  )
  const asked = headers['x-should-retry']
  const quota = /insufficient_quota|billing/i.test(`${detail.code} ${detail.type}`)
  const after = retryAfter(headers)
  const retry =
    asked === 'true' ||
    (asked !== 'false' && !quota && [408, 409, 429].includes(status)) ||
    (asked !== 'false' && status >= 500 && status !== 501)
  return {
    error: new AppError(code, `${text} ${advice(code, place.provider, status)}`.trim(), {
      data: {
        provider: place.provider.name,
        url: place.url,
        status,
        ...windowIn(code, detail),
        ...askedWait(after),
      },
    }),
    retry,
    overload: retry && (status === 429 || status === 503 || status === 529),
    retry_after_ms: after,
  }
}

/** The provider sent an error object where a piece of the answer was due. */
export function streamedFailure(place: Place, error: unknown): Failure {
  const detail = explain(JSON.stringify({ error }))
  const number = Number(detail.code)
  const status = number >= 400 && number < 600 ? number : 0
  const code = codeOf(status, detail)
  const text = sentence(
    `${place.provider.name} at ${place.url} broke off with an error`,
    clean(detail.text, place.provider),
  )
  const overload =
    code === 'llm_rate_limit' || /overloaded/i.test(`${detail.code} ${detail.type} ${detail.text}`)
  const hint = advice(code, place.provider, overload ? 529 : status)
  return {
    error: new AppError(code, `${text} ${hint}`.trim(), {
      data: { provider: place.provider.name, url: place.url, ...windowIn(code, detail) },
    }),
    retry:
      overload ||
      (code === 'llm_error' && /api_error|server_error|timeout/i.test(`${detail.code} ${detail.type}`)),
    overload,
    retry_after_ms: null,
  }
}

/** The connection could not be made, or broke after an answer `began`. `retry`: asking again does no harm. */
export function connectionFailure(
  place: Place,
  cause: unknown,
  { began, retry: repeatable }: { began: boolean; retry: boolean },
): Failure {
  const { provider, url } = place
  const data = { provider: provider.name, url }
  const at = `${provider.name} at ${url}`
  const code = codeIn(cause)
  if (cause instanceof Error && cause.name === 'ConnectTimeout') {
    const text = `${at} cannot be reached: ${cause.message}. Check base_url of provider '${provider.name}' and the network.`
    return {
      error: new AppError('llm_timeout', text, { data, cause }),
      retry: true,
      overload: false,
      retry_after_ms: null,
    }
  }
  const why = clean(WHY[code] ?? messageOf(cause), provider)
  const running = isLocal(provider) ? 'Is it running? Start it, or correct' : 'Check'
  // An error of the HTTP library's own may quote the header that holds the key: only the system's are kept.
  const kept = /^E[A-Z]+$/.test(code) ? { cause } : {}
  const text = began
    ? `${at} cut the connection in the middle of its answer (${why}). Try again.`
    : `${at} cannot be reached: ${why}. ${running} base_url of provider '${provider.name}'.`
  const retry = repeatable && code !== 'ENOTFOUND' && !/CERT|SSL|TLS|ERR_INVALID/.test(code)
  return {
    error: new AppError('llm_connection', text, { data, ...kept }),
    retry,
    overload: false,
    retry_after_ms: null,
  }
}

const WHY: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name cannot be resolved now',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connection timed out',
  EPIPE: 'connection closed',
}

/** The provider was silent for longer than its limit. */
export function timeoutError(place: Place, ms: number, phase: 'first' | 'next'): AppError {
  const { provider, url } = place
  const what = phase === 'first' ? 'gave no answer' : 'stopped in the middle of its answer'
  const setting = phase === 'first' ? 'first_token_ms' : 'between_tokens_ms'
  return new AppError(
    'llm_timeout',
    `${provider.name} at ${url} ${what} for ${ms / 1000} s. Try again, or raise timeouts.${setting} of provider '${provider.name}'.`,
    { data: { provider: provider.name, url } },
  )
}

/** The provider answered something that is not this protocol. */
export function garbageError(place: Place, what: string, sample: string): AppError {
  const { provider, url } = place
  const shown = clean(sample, provider, 200)
  return new AppError(
    'llm_error',
    `${provider.name} at ${url} answered ${what}${shown === '' ? '' : `: ${shown}`}. Check base_url of provider '${provider.name}'.`,
    { data: { provider: provider.name, url } },
  )
}

/** The answer is longer than any that makes sense: a model that repeats itself, or a server that never ends. */
export function tooLongError(place: Place, limit: number): AppError {
  const { provider, url } = place
  return new AppError(
    'llm_error',
    `${provider.name} at ${url} sent an answer of more than ${Math.round(limit / 1024 / 1024)} MB; it was cut off. Set a limit with max_output_tokens, or choose another model.`,
    { data: { provider: provider.name, url } },
  )
}

/** The answer ended before the model was done. */
export function cutOffError(place: Place): AppError {
  const { provider, url } = place
  return new AppError(
    'llm_connection',
    `${provider.name} at ${url} ended the stream in the middle of its answer. Try again.`,
    { data: { provider: provider.name, url } },
  )
}

/** The caller gave up. */
export function cancelledError(place: Place): AppError {
  return new AppError('cancelled', `The request to ${place.provider.name} at ${place.url} was cancelled.`)
}

interface Detail {
  text: string
  code: string
  type: string
}

/** Takes the readable part out of the many shapes of error bodies. */
function explain(body: string): Detail {
  const none = { code: '', type: '' }
  if (/^\s*</.test(body)) {
    const title = /<title[^>]*>([^<]*)/i.exec(body)?.[1]?.trim()
    return { ...none, text: title ? `an HTML page, "${title}"` : 'an HTML page' }
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    return { ...none, text: body.trim() || 'no explanation' }
  }
  // Gemini wraps its error in a list.
  const root = (Array.isArray(parsed) ? parsed[0] : parsed) as Record<string, unknown> | null
  if (typeof root !== 'object' || root === null) return { ...none, text: String(root) }
  const error = (root.error ?? root) as Record<string, unknown> | string
  if (typeof error === 'string') return { ...none, text: error }
  const text = error.message ?? error.detail ?? error.error ?? error.title
  // OpenRouter keeps what the model's own host said in metadata.raw.
  const raw = (error.metadata as Record<string, unknown> | undefined)?.raw
  const shown = typeof text === 'string' ? text : JSON.stringify(text ?? error)
  return {
    text: typeof raw === 'string' ? `${shown} (${raw})` : shown,
    code: word(error.code),
    type: word(error.type ?? error.status),
  }
}

function word(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

const TOO_LONG = new RegExp(
  [
    'context_length_exceeded|context[ _-]?(?:length|window|size|limit)|maximum context',
    'prompt is too long|input (?:is|was)? ?too long|too many (?:input )?tokens|reduce the length',
    'exceeds? the (?:maximum|available) (?:number of tokens|context|input|prompt)|input token count',
    'maximum prompt length|greater than the context|token limit|request too large for model',
  ].join('|'),
  'i',
)

/** Where providers say in words how much their model can read. */
const WINDOWS = [
  /maximum context length (?:is|of) (?:only )?([\d,]+)/i,
  /context (?:size|length|window)(?: of| is)?(?: only)? \(?([\d,]+)/i,
  /maximum number of tokens allowed \(?([\d,]+)/i,
  /> ([\d,]+) maximum/i,
]
/** What is less than this is no context window, in tokens. */
const LEAST_WINDOW = 256

/** The context window that the provider names when it calls a request too long. */
function windowIn(code: ErrorCode, { text }: Detail): { context_window?: number } {
  if (code !== 'llm_context_window') return {}
  for (const pattern of WINDOWS) {
    const tokens = Number(pattern.exec(text)?.[1]?.replaceAll(',', ''))
    if (tokens >= LEAST_WINDOW) return { context_window: tokens }
  }
  return {}
}

function codeOf(status: number, detail: Detail): ErrorCode {
  const all = `${detail.code} ${detail.type} ${detail.text}`
  const refused = status === 0 || status === 400 || status === 413 || status === 422 || status === 500
  if (refused && TOO_LONG.test(all) && !/rate.?limit/i.test(`${detail.code} ${detail.type}`)) {
    return 'llm_context_window'
  }
  if (status === 402) return 'llm_insufficient_credits'
  if (status === 401 || status === 403) return 'llm_authentication'
  if (status === 400 && /api[ _-]?key (?:is )?(?:not valid|invalid|expired)|API_KEY_INVALID/i.test(all)) {
    return 'llm_authentication'
  }
  if (status === 429) return 'llm_rate_limit'
  if (status === 408 || status === 504) return 'llm_timeout'
  if (status >= 400 && status < 500) return 'llm_bad_request'
  if (status === 0 && /rate.?limit|too many requests/i.test(all)) return 'llm_rate_limit'
  if (
    status === 0 &&
    /authentication|invalid.?api.?key|permission_error/i.test(`${detail.code} ${detail.type}`)
  ) {
    return 'llm_authentication'
  }
  if (status === 0 && /invalid_request|bad_request/i.test(`${detail.code} ${detail.type}`))
    return 'llm_bad_request'
  return 'llm_error'
}

function advice(code: ErrorCode, provider: ProviderConfig, status: number): string {
  const named = `provider '${provider.name}'`
  // An editor's window says itself what to do.
  if (provider.headers?.[WINDOW_HEADER] !== undefined) return ''
  if (code === 'llm_authentication') {
    return provider.api_key ? `Check the key of ${named}.` : `Set a key for ${named}.`
  }
  if (code === 'llm_insufficient_credits')
    return `Add credit to the account of ${named}, or choose another model.`
  if (code === 'llm_rate_limit') return `Wait a little, or check the plan and limits of ${named}.`
  if (code === 'llm_context_window') return 'The conversation is longer than the model can read.'
  if (status === 404) return `Check that the model is there, and base_url of ${named}.`
  if (status >= 500) return 'Try again later.'
  if (status >= 300 && status < 400) return `Set base_url of ${named} to where it is now.`
  return ''
}

/** For who asked us: whole seconds, as HTTP has it. */
function askedWait(ms: number | null): { retry_after_seconds?: number } {
  return ms === null ? {} : { retry_after_seconds: Math.ceil(ms / 1000) }
}

/** Milliseconds of `retry-after-ms` or `retry-after` (seconds or a date). */
function retryAfter(headers: Record<string, string | string[] | undefined>): number | null {
  const ms = Number(headers['retry-after-ms'])
  if (headers['retry-after-ms'] !== undefined && Number.isFinite(ms)) return Math.max(0, ms)
  const value = headers['retry-after']
  if (typeof value !== 'string') return null
  const seconds = Number(value)
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000)
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now())
}

/** One line, of bounded length, without the key. */
function clean(text: string, provider: ProviderConfig, max = MAX_DETAIL): string {
  let out = text
  const secrets = [provider.api_key, ...Object.values(provider.headers ?? {})].map((secret) => secret?.trim())
  for (const secret of secrets) if (secret && secret.length >= 4) out = out.replaceAll(secret, '***')
  out = out.replace(/\s+/g, ' ').trim()
  return out.length > max ? `${out.slice(0, max)}…` : out
}

function sentence(start: string, said: string): string {
  return `${start}: ${said}${/[.!?…]$/.test(said) ? '' : '.'}`
}

function codeIn(cause: unknown): string {
  for (let error = cause, depth = 0; error instanceof Error && depth < 4; error = error.cause, depth++) {
    const code = (error as { code?: unknown }).code
    if (typeof code === 'string') return code
    const inner = (error as { errors?: unknown }).errors
    if (Array.isArray(inner) && inner.length > 0) return codeIn(inner[0])
  }
  return ''
}

import type { z } from 'zod'
import { AppError, type ErrorCode, isAppError } from '../schema/errors.ts'

/** The one table from error codes to HTTP (reference 1.7). */
const STATUS: Record<ErrorCode, number> = {
  invalid_argument: 400,
  validation: 422,
  not_found: 404,
  not_allowed: 405,
  conflict: 409,
  conversation_busy: 409,
  pending_approval: 409,
  already_started: 409,
  gone: 410,
  lease_lost: 409,
  unauthorized: 401,
  forbidden: 403,
  rate_limited: 429,
  quota_exceeded: 403,
  host_refused: 403,
  too_large: 413,
  unsupported_media_type: 415,
  model_not_found: 404,
  llm_authentication: 401,
  llm_insufficient_credits: 402,
  llm_rate_limit: 429,
  llm_bad_request: 400,
  llm_context_window: 400,
  context_window_overflow_in_system_prompt: 400,
  llm_timeout: 504,
  llm_connection: 502,
  llm_error: 502,
  llm_empty_response: 502,
  tool_error: 400,
  mcp_error: 502,
  mcp_timeout: 408,
  secrets_unreadable: 503,
  store_unavailable: 503,
  store_newer: 503,
  config_invalid: 500,
  cancelled: 409,
  not_implemented: 501,
  internal: 500,
}

/** Codes that V1 prints in front of the text. */
const PREFIX: Partial<Record<ErrorCode, string>> = {
  invalid_argument: 'INVALID_ARGUMENT',
  not_found: 'NOT_FOUND',
  conflict: 'CONFLICT',
  conversation_busy: 'CONVERSATION_BUSY',
}

/**
 * The answer for anything that was thrown. A failure that is ours gets no detail on the wire: `onFailure` hears it.
 * Everything final tells the official clients not to ask again.
 */
export function errorResponse(
  error: unknown,
  options: { request_id: string; onFailure: (error: unknown) => void },
): Response {
  const { request_id, onFailure } = options
  const known = isAppError(error)
  const status = known ? STATUS[error.code] : 500
  if (status === 500) onFailure(error)
  if (!known || error.code === 'internal') {
    const detail = `An unknown error occurred; the server log has the details under request ${request_id}.`
    return json(500, { detail, request_id }, { 'x-request-id': request_id, 'x-should-retry': 'false' })
  }
  const headers: Record<string, string> =
    status === 503 ? { 'retry-after': '1' } : { 'x-should-retry': 'false' }
  if (error.data['ends'] === true) headers['connection'] = 'close'
  if (error.code === 'rate_limited') {
    const seconds = Number(error.data['retry_after_seconds'])
    Object.assign(headers, error.data['headers'], { 'retry-after': String(seconds) })
    // The official clients wait a minute at most.
    if (seconds <= 60) delete headers['x-should-retry']
  }
  if (error.code === 'validation')
    return json(status, { trace_id: '', detail: error.message, ...error.data }, headers)
  if (error.code.startsWith('llm_')) {
    const seconds = error.data['retry_after_seconds']
    // Only for who waits by themselves: the provider was asked again already, and more than once.
    if ((status === 429 || status === 502) && typeof seconds === 'number')
      headers['retry-after'] = String(seconds)
    return json(
      status,
      { error: { type: error.code, message: error.message, detail: error.message }, detail: error.message },
      headers,
    )
  }
  // The one error of V1's whose detail is an object (reference 1.7).
  if (error.code === 'pending_approval')
    return json(
      status,
      { detail: { code: 'PENDING_APPROVAL', message: error.message, ...error.data } },
      headers,
    )
  const prefix = PREFIX[error.code]
  const detail =
    error.code === 'not_found' && error.data['bare'] === true
      ? error.message
      : prefixed(prefix, error.message)
  const allow = error.data['allow']
  if (Array.isArray(allow)) headers['allow'] = allow.join(', ')
  // The run that is in the way, or the block as it is now.
  const { run_id, block } = error.data
  const more = { ...(run_id === undefined ? {} : { run_id }), ...(block === undefined ? {} : { block }) }
  return json(status, { detail, ...more }, headers)
}

function prefixed(prefix: string | undefined, message: string): string {
  return prefix === undefined ? message : `${prefix}: ${message}`
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  })
}

/** Of a server that ends and answers nothing more: 503, on a connection that is closed. `what` is to be done. */
export function shuttingDown(what: string): AppError {
  return new AppError('store_unavailable', `this server is shutting down${what}`, { data: { ends: true } })
}

/** Whether a server that ends has sent a request away, which is no failure. */
export function isSentAway({ status, headers }: Response): boolean {
  return status === 503 && headers.get('connection') === 'close'
}

/** Zod's complaint about a part of a request, as one readable sentence that names each place. */
export function validationError(
  where: 'path' | 'query' | 'body',
  error: z.ZodError,
  given: unknown,
): AppError {
  const all = error.issues.flatMap(meantIssues)
  const issues = all.slice(0, 10).map((issue) => {
    const place = [where, ...issue.path.map(String)].join('.')
    return `${place}: ${where === 'body' ? issue.message : namingText(issue, given)}`
  })
  const more = all.length > issues.length ? ` (and ${all.length - issues.length} more)` : ''
  return new AppError('validation', issues.join('; ') + more)
}

/** Of a path or query everything is text: "received NaN" is not what the user wrote. */
function namingText(issue: z.core.$ZodIssue, given: unknown): string {
  const text = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown>)?.[key],
    given,
  )
  if (issue.code !== 'invalid_type' || typeof text !== 'string') return issue.message
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text
  return issue.message.replace(/received .*$/, `received '${shown}'`)
}

/** What is wrong inside a union: the complaints of the alternative that the value comes nearest to. */
function meantIssues(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue]
  const depth = (issues: z.core.$ZodIssue[]) => Math.max(...issues.map((inner) => inner.path.length))
  const alternatives = issue.errors
    .map((inner) => inner.flatMap(meantIssues))
    .filter((inner) => inner.length > 0)
    .toSorted((a, b) => depth(b) - depth(a) || a.length - b.length)
  const [nearest] = alternatives
  // Alternatives that all fail at once are told apart by none of them.
  if (!nearest || depth(nearest) === 0) return [{ ...issue, message: wantedKinds(issue) ?? issue.message }]
  return nearest.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))
}

/** Of a union without words of its own, whose alternatives are of other kinds than the value: what they are. */
function wantedKinds({ message, errors }: z.core.$ZodIssueInvalidUnion): string | null {
  const issues = errors.flat()
  if (message !== 'Invalid input' || issues.length === 0) return null
  const kinds = issues.map((issue) => (issue.code === 'invalid_type' ? issue.expected : null))
  const received = /received .*$/.exec(issues[0]?.message ?? '')?.[0]
  if (kinds.includes(null) || received === undefined) return null
  return `Invalid input: expected ${[...new Set(kinds)].join(' or ')}, ${received}`
}

/** For `catch`: whatever the store could not find is the agent, in V1's words. */
export function asAgentNotFound(agent_id: string): (error: unknown) => never {
  return (error) => {
    throw isAppError(error, 'not_found') ? notFound('Agent', agent_id) : error
  }
}

/** A thing that is not there, in V1's words: for agents exactly "Agent not found". */
export function notFound(kind: string, id: string): AppError {
  return kind === 'Agent'
    ? new AppError('not_found', 'Agent not found', { data: { bare: true } })
    : new AppError('not_found', `${kind} '${id}' not found`)
}

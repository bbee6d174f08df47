/**
 * The one error family that crosses rooms. Recognise an error by `code`, never by its text or by `instanceof`
 * (two bundles carry two classes). `server/errors.ts` maps each code to an HTTP status.
 */
export const ERROR_CODES = [
  /** The request is well formed but asks for something impossible. */
  'invalid_argument',
  /** The request does not have the shape the route expects; `data.issues` lists the places. */
  'validation',
  'not_found',
  /** The path is served, but not with this method; `data.allow` lists those that are. */
  'not_allowed',
  /** A unique name or label is taken, or the thing changed in the meantime. */
  'conflict',
  /** Another turn runs in this conversation; `data.run_id` names it. */
  'conversation_busy',
  /** A tool call waits for an approval; `data.pending_request_id` names the message that asks for it. */
  'pending_approval',
  /** The same request has begun a run before; `data.run_id` names it. */
  'already_started',
  /** What was asked for is kept for a time only, and that is over. */
  'gone',
  /** A turn's lease was taken over: what it tried to write was refused. */
  'lease_lost',
  'unauthorized',
  'forbidden',
  /** A limit of requests is used up; `data.retry_after_seconds` says when there are new ones. */
  'rate_limited',
  /** A limit of how much there may be of something is reached. */
  'quota_exceeded',
  /** The Host or Origin header is not one this server answers to. */
  'host_refused',
  /** The request body is larger than the server takes. */
  'too_large',
  /** The request body comes in an encoding that the server does not read. */
  'unsupported_media_type',
  'model_not_found',
  'llm_authentication',
  /** The provider wants to be paid first. */
  'llm_insufficient_credits',
  /** `data.retry_after_seconds`: how long to wait, where the provider says it; so too for others of a provider's. */
  'llm_rate_limit',
  'llm_bad_request',
  /** `data.context_window`: the window in tokens, where the provider says it. */
  'llm_context_window',
  /** The system message and the tools alone are larger than the context window. */
  'context_window_overflow_in_system_prompt',
  'llm_timeout',
  'llm_connection',
  'llm_error',
  'llm_empty_response',
  'tool_error',
  /** A server of MCP cannot be used: what happened, to which, what to do next. */
  'mcp_error',
  'mcp_timeout',
  /** Encrypted values whose key is not here, or a key file that is none; the text says what to do. */
  'secrets_unreadable',
  /** The data directory or database cannot be used; the text says what to do. */
  'store_unavailable',
  /** A newer Loci has changed the store; this process must be restarted. */
  'store_newer',
  /** config.json cannot be read; `data.path` and, when known, `data.line`. */
  'config_invalid',
  'cancelled',
  'not_implemented',
  'internal',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** An expected failure: what happened, to what, and what to do next, in one readable sentence. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly data: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { data?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.data = options.data ?? {}
  }
}

/** True for an `AppError` of any bundle; with `code`, only for that code. */
export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  if (!(error instanceof Error) || error.name !== 'AppError') return false
  const own = (error as { code?: unknown }).code
  return code === undefined ? ERROR_CODES.includes(own as ErrorCode) : own === code
}

/** An agent that is not there, in the words that V1's clients look for (reference 1.7); no code goes in front. */
export function agentNotFound(): AppError {
  return new AppError('not_found', 'Agent not found', { data: { bare: true } })
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

import { SdkError, SdkErrorCode, SdkHttpError, UnauthorizedError } from '@modelcontextprotocol/client'
import { AppError, isAppError, messageOf } from '../../schema/errors.ts'
import { cleanText } from './clean-text.ts'

/** Characters of a server's own words in an error. */
const MAX_SAID = 500

/** Whether a server wants its user to log in. */
export function wantsAuthorization(error: unknown): boolean {
  if (error instanceof UnauthorizedError) return true
  if (error instanceof SdkHttpError) return error.status === 401
  if (typeof error !== 'object' || error === null) return false
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  return code === 401 || wantsAuthorization(cause)
}

/** Whether the session of a connection is gone: the server has forgotten it, and has done nothing. */
export function lostSession(error: unknown): boolean {
  return error instanceof SdkHttpError && error.status === 404
}

/** What failed at a server, as everybody can read it; `instead` says more than the SDK knows. */
export function describe(
  server_name: string,
  doing: string,
  error: unknown,
  instead: string | null = null,
): AppError {
  if (isAppError(error)) return error
  const server = `The MCP server '${server_name}'`
  if (wantsAuthorization(error))
    return new AppError(
      'mcp_error',
      `${server} wants its user to log in: open GET /v1/mcp-servers/connect/{id} and follow the address it gives, or ` +
        'set its auth_token.',
      { data: { authorization_required: true } },
    )
  if (isTimeout(error) && instead === null)
    return new AppError('mcp_timeout', `${server} did not answer in time while ${doing}.`)
  const said = cleanText(instead ?? rootMessage(error), MAX_SAID)
  return new AppError('mcp_error', `${server} failed while ${doing}: ${said.replace(/\.$/, '')}.`)
}

function isTimeout(error: unknown): boolean {
  if (error instanceof SdkError) return error.code === SdkErrorCode.RequestTimeout || isTimeout(error.cause)
  return error instanceof Error && error.name === 'TimeoutError'
}

/** `fetch failed` says nothing: its cause does. */
function rootMessage(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  if (error instanceof SdkHttpError) return `HTTP ${error.status} ${error.statusText ?? ''}`.trim()
  if (cause instanceof AggregateError && cause.errors.length > 0) return messageOf(cause.errors[0])
  return cause instanceof Error ? rootMessage(cause) : messageOf(error)
}

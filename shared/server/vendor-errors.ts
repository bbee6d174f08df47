/** Errors in the words of the API whose client asks. */

const OPENAI = /^\/openai\/|^\/v1\/chat\//
const ANTHROPIC = /^\/anthropic\//

/**
 * The answer with its error as clients of OpenAI and of Anthropic look for it, on the paths that are theirs: beside `detail`, which is
 * everywhere. What is no error is passed on.
 */
export async function withVendorError(path: string, answer: Response): Promise<Response> {
  const anthropic = ANTHROPIC.test(path)
  // The answer to HEAD has no body.
  if (answer.status < 400 || !answer.body || (!anthropic && !OPENAI.test(path))) return answer
  const body = (await answer.json()) as { detail?: unknown; error?: { type?: unknown } }
  const message = textOf(body.detail)
  const changed = anthropic
    ? { ...body, type: 'error', error: { type: anthropicType(answer.status), message } }
    : { ...body, error: openaiError(answer.status, message, body.error?.type) }
  return new Response(JSON.stringify(changed), { status: answer.status, headers: answer.headers })
}

function openaiError(status: number, message: string, type: unknown) {
  const param = /^body\.([\w.]+): /.exec(message)?.[1] ?? null
  const code = status === 404 ? 'not_found' : null
  return { message, type: typeof type === 'string' ? type : openaiType(status), param, code }
}

function textOf(detail: unknown): string {
  if (typeof detail === 'string') return detail
  const { message } = (detail ?? {}) as { message?: unknown }
  return typeof message === 'string' ? message : JSON.stringify(detail ?? null)
}

function openaiType(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

function anthropicType(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 404) return 'not_found_error'
  if (status === 413) return 'request_too_large'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'api_error' : 'invalid_request_error'
}

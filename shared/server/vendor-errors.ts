/** Errors in the words of the API whose client asks. */

const OPENAI = /^\/openai\/|^\/v1\/chat\//

/**
 * The answer with its error as clients of OpenAI look for it, on the paths that are theirs: beside `detail`, which is
 * everywhere. What is no error is passed on.
 */
export async function withVendorError(path: string, answer: Response): Promise<Response> {
  if (answer.status < 400 || !OPENAI.test(path)) return answer
  const body = (await answer.json()) as { detail?: unknown; error?: { type?: unknown } }
  const message = textOf(body.detail)
  const param = /^body\.([\w.]+): /.exec(message)?.[1] ?? null
  const type = typeof body.error?.type === 'string' ? body.error.type : typeOf(answer.status)
  const error = { message, type, param, code: answer.status === 404 ? 'model_not_found' : null }
  return new Response(JSON.stringify({ ...body, error }), { status: answer.status, headers: answer.headers })
}

function textOf(detail: unknown): string {
  if (typeof detail === 'string') return detail
  const { message } = (detail ?? {}) as { message?: unknown }
  return typeof message === 'string' ? message : JSON.stringify(detail ?? null)
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

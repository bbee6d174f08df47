const OPENAI = /^\/openai\/|^\/v1\/chat\//
const ANTHROPIC = /^\/anthropic\//
const V1 = /^\/v1\//

/**
 * The answer with its error in the words of the API that was asked: beside `detail`, which is everywhere, and a sentence
 * everywhere but under `/v1`, as clients of OpenAI and of Anthropic look for it. What is no error is passed on.
 */
export async function inWordsOf(path: string, answer: Response): Promise<Response> {
  const openai = OPENAI.test(path)
  // The answer to HEAD has no body.
  if (answer.status < 400 || !answer.body || (V1.test(path) && !openai)) return answer
  const body = (await answer.json()) as { detail?: unknown; error?: { type?: unknown } }
  const message = textOf(body.detail)
  const { status, headers } = answer
  if (openai) return said({ ...body, detail: message, error: openaiError(status, message, body.error?.type) })
  if (!ANTHROPIC.test(path)) return said({ ...body, ...fieldsOf(body.detail), detail: message })
  return said({ ...body, detail: message, type: 'error', error: { type: anthropicType(status), message } })

  function said(value: object): Response {
    return new Response(JSON.stringify(value), { status, headers })
  }
}

/** What V1 puts into the object that its `detail` is now and then. */
function fieldsOf(detail: unknown): object {
  if (typeof detail !== 'object' || detail === null) return {}
  const { message: _, ...fields } = detail as { message?: unknown }
  return fields
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

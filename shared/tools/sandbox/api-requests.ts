import { refusedRequest, withoutSecrets } from './api-scope.ts'
import type { ApiScope, ToolApi } from './language-tools.ts'
import type { AnswerRequest } from './request-queue.ts'

/** Bytes of an answer that a tool's `client` gets. */
const MAX_ANSWER = 16 * 1024 * 1024

/** Headers that a tool may set; all that says who asks is ours. */
const HEADERS = ['accept', 'content-type']

/** Answers what a tool's `client` asks through the API, as far as a tool may. */
export function answerOver(api: ToolApi, scope: ApiScope): AnswerRequest {
  return async ({ method, path, headers, body }, { signal }) => {
    const url = new URL(path, 'http://loci.invalid')
    const bytes = body === null ? null : Buffer.from(body, 'base64')
    const why = refusedRequest(method, url, bytes)
    if (why) return answer(403, why)
    const response = await api(
      scope,
      new Request(url, {
        method,
        headers: headers.filter(([name]) => HEADERS.includes(name.toLowerCase())),
        ...(method !== 'GET' && bytes && { body: bytes }),
        signal,
      }),
    )
    const type = response.headers.get('content-type') ?? ''
    if (type.startsWith('text/event-stream')) {
      await response.body?.cancel()
      return answer(400, 'A tool cannot read a stream: call without `streaming` and `background`.')
    }
    const read = await readBody(response)
    if (!read)
      return answer(
        413,
        `The answer is larger than ${MAX_ANSWER / 1024 / 1024} MB: ask for less, with \`limit\`.`,
      )
    return {
      status: response.status,
      headers: type === '' ? [] : [['content-type', type]],
      body: withoutSecrets(read).toString('base64'),
    }
  }
}

async function readBody(response: Response): Promise<Buffer | null> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MAX_ANSWER) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function answer(status: number, detail: string): Awaited<ReturnType<AnswerRequest>> {
  return {
    status,
    headers: [['content-type', 'application/json']],
    body: Buffer.from(JSON.stringify({ detail })).toString('base64'),
  }
}

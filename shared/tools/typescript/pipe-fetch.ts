/** What a request looks like on the pipe. */
export interface PipeRequest {
  method: string
  path: string
  headers: [string, string][]
  /** Base64. */
  body: string | null
}

/** Its answer; the body in base64. */
export interface PipeAnswer {
  status: number
  headers: [string, string][]
  body: string
}

/** `fetch` for the official client, which asks Loci over the process's pipe; there is no server to connect to. */
export function pipeFetch(ask: (request: PipeRequest) => Promise<PipeAnswer>): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init)
    const { pathname, search } = new URL(request.url)
    const body = request.body ? Buffer.from(await request.arrayBuffer()).toString('base64') : null
    const answer = await untilAborted(
      ask({ method: request.method, path: pathname + search, headers: [...request.headers], body }),
      request.signal,
    )
    const empty = answer.status === 204 || answer.status === 304
    return new Response(empty ? null : Buffer.from(answer.body, 'base64'), {
      status: answer.status,
      headers: answer.headers,
    })
  }
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

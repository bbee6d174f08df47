import { connect, type LociClient } from './http.ts'

export interface InProcessOptions {
  /** Data directory; LOCI_HOME or ~/.loci when absent. */
  data?: string | undefined
  /** Where providers and settings are read from; this process's environment when absent. */
  env?: Record<string, string | undefined> | undefined
  /** Hears of failures that are Loci's own; a line on stderr when absent. Must not throw. */
  onFailure?: ((where: string, error: unknown) => void) | undefined
}

/**
 * A Loci in this process, over the data directory it shares with every other one. The server is loaded here, not
 * when this module is: a caller can answer something first. Throws `store_unavailable` when the directory cannot be
 * used. `close` closes the Loci.
 */
export async function openInProcess(options: InProcessOptions = {}): Promise<LociClient> {
  const { openLoci } = await import('../server/main.ts')
  const loci = await openLoci({
    ...(options.data === undefined ? {} : { data: options.data }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.onFailure === undefined ? {} : { onFailure: options.onFailure }),
  })
  const client = clientOf(loci)
  let closing: Promise<void> | null = null
  return { ...client, close: () => (closing ??= client.close().then(() => loci.close())) }
}

/** A client of a Loci that this process has open already; closing it leaves that one open. */
export function clientOf(loci: { fetch(request: Request): Promise<Response>; data: string }): LociClient {
  const client = connect({ url: 'http://127.0.0.1', fetch: abortable((request) => loci.fetch(request)) })
  return { ...client, url: `in-process:${loci.data}` }
}

/**
 * `fetch` over an app that answers whatever happens to the caller. An abort rejects at once, and reaches the app as
 * a disconnect would: its request's signal aborts and the body it streams is cancelled.
 */
export function abortable(app: (request: Request) => Promise<Response>): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init)
    // The caller's own: the request's follows it only as long as nobody collects the request, and a stream outlives it.
    const signal = init?.signal ?? request.signal
    signal.throwIfAborted()
    const answer = app(request)
    const response = await new Promise<Response>((resolve, reject) => {
      const abort = () => {
        reject(signal.reason as Error)
        answer.then(
          (late) => late.body?.cancel(signal.reason),
          () => undefined,
        )
      }
      signal.addEventListener('abort', abort, { once: true })
      answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    })
    // Only a stream outlives its headers; everything else is complete already.
    if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
      return response
    }
    return new Response(cutOff(response.body, signal), response)
  }
}

/** The same bytes until `signal` aborts: then this stream fails and the source is cancelled. */
function cutOff(source: ReadableStream<Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  const reader = source.getReader()
  let abort = () => {}
  const leave = () => signal.removeEventListener('abort', abort)
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        abort = () => {
          controller.error(signal.reason)
          reader.cancel(signal.reason).catch(() => undefined)
        }
        if (signal.aborted) abort()
        else signal.addEventListener('abort', abort, { once: true })
      },
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (signal.aborted) return
          if (!done) return controller.enqueue(value)
          leave()
          controller.close()
        } catch (error) {
          leave()
          if (!signal.aborted) controller.error(error)
        }
      },
      cancel(reason) {
        leave()
        return reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}

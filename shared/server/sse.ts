const encoder = new TextEncoder()

/** Headers of every event stream; `x-accel-buffering` keeps nginx from holding it back. */
const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}

export interface ServerSentEvent {
  /** One line: JSON as `JSON.stringify` writes it, or a word. */
  data: string
  event?: string
  id?: string
}

/** One event in the wire format of server-sent events (WHATWG HTML, 9.2). */
export function encodeEvent(item: ServerSentEvent): string {
  const event = item.event === undefined ? '' : `event: ${item.event}\n`
  const id = item.id === undefined ? '' : `id: ${item.id}\n`
  const data =
    item.data.includes('\n') || item.data.includes('\r')
      ? item.data
          .split(/\r\n|\r|\n/)
          .map((line) => `data: ${line}\n`)
          .join('')
      : `data: ${item.data}\n`
  return `${event}${id}${data}\n`
}

/**
 * An event stream from text that is already encoded, piece by piece. Headers go out at once. When the reader goes
 * away `abort` is called and then the source is closed; a source that throws ends the stream after `onError`'s text.
 * `keepAlive` is written whenever nothing came for `keepAliveMs`.
 */
export function eventStream(
  source: AsyncGenerator<string>,
  options: {
    abort: AbortController
    keepAlive: () => string
    keepAliveMs: number
    onError: (error: unknown) => string
    /** For a stream that is none of server-sent events. */
    content_type?: string
  },
): Response {
  let pending: Promise<IteratorResult<string>> | null = null
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        pending ??= source.next()
        const next = await withTimeout(pending, options.keepAliveMs)
        // The reader has gone while we waited: the stream is closed already.
        if (options.abort.signal.aborted) return
        if (next === 'timeout') {
          controller.enqueue(encoder.encode(options.keepAlive()))
          return
        }
        pending = null
        if (next.done) controller.close()
        else controller.enqueue(encoder.encode(next.value))
      } catch (error) {
        if (options.abort.signal.aborted) return
        controller.enqueue(encoder.encode(options.onError(error)))
        controller.close()
      }
    },
    async cancel() {
      // Abort first: `return()` does not wake a source that waits.
      options.abort.abort()
      await source.return(undefined)
    },
  })
  const { content_type } = options
  return new Response(body, {
    headers: content_type === undefined ? HEADERS : { ...HEADERS, 'content-type': content_type },
  })
}

async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T | 'timeout'> {
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.race([
      promise,
      new Promise<'timeout'>((resolve) => {
        timer = setTimeout(() => resolve('timeout'), ms)
      }),
    ])
  } finally {
    clearTimeout(timer)
  }
}

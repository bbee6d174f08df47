/** What ends only when its reader leaves, or after a long turn. */
const STREAMS = /^(?:text\/event-stream|application\/x-ndjson)\b/

const KEY_GONE = 'the key of this stream is not known any more; ask again with another'

/** Whether an answer takes as long as something goes on. */
export function isStream({ body, headers }: Response): boolean {
  return body !== null && STREAMS.test(headers.get('content-type') ?? '')
}

/**
 * A stream that ends with an error in words once whoever asked for it is no longer let in. For its source that is a reader
 * who leaves: a turn goes on. What cannot be looked up ends it too.
 */
export function whileLetIn(
  answer: Response,
  options: {
    isLetIn: () => Promise<boolean>
    every_ms: number
    /** Hears why it could not be looked up. */
    onFailure: (where: string, error: unknown) => void
  },
): Response {
  const { isLetIn, every_ms, onFailure } = options
  const type = answer.headers.get('content-type') ?? ''
  if (!answer.body) return answer
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  let timer: NodeJS.Timeout | undefined
  let ended = false
  const end = () => {
    ended = true
    clearTimeout(timer)
  }
  const cause = () =>
    isLetIn().then(
      (yes) => (yes ? null : { type: 'unauthorized', message: KEY_GONE }),
      (error: unknown) => {
        onFailure('looking up who reads a stream', error)
        const message = 'it could not be looked up who reads this; the server has logged why'
        return { type: 'internal_error', message }
      },
    )
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const wait = () => {
          timer = setTimeout(() => void look(), every_ms)
          timer.unref()
        }
        const look = async () => {
          const why = await cause()
          if (ended) return
          if (!why) return wait()
          end()
          // Each piece that came before is whole events, or whole lines.
          controller.enqueue(encoded(type, why))
          controller.close()
          await reader.cancel().catch((error: unknown) => onFailure('ending a stream', error))
        }
        wait()
      },
      async pull(controller) {
        const { done, value } = await reader.read()
        if (ended) return
        if (!done) return controller.enqueue(value)
        end()
        controller.close()
      },
      async cancel(reason) {
        end()
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { status: answer.status, headers: answer.headers })
}

/** As clients of V1, of OpenAI and of Anthropic look for it. */
function encoded(type: string, error: { type: string; message: string }): Uint8Array {
  const data = JSON.stringify({ type: 'error', error, detail: error.message })
  return new TextEncoder().encode(type.startsWith('text/') ? `event: error\ndata: ${data}\n\n` : `${data}\n`)
}

import type { ServerSentEvent } from '../sse.ts'

/**
 * The events of a stream as `encodeEvent` writes them; comments are left out. Ends when `signal` aborts, and cancels
 * the stream when the reader leaves.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const reader = body.getReader()
  // A source that waits is woken by nothing but this; one that has failed says so to `read`.
  const leave = () => void reader.cancel().catch(() => undefined)
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const pieces = (rest + decoder.decode(value, { stream: true })).split('\n\n')
      rest = pieces.pop() ?? ''
      for (const piece of pieces) {
        const event = parseEvent(piece)
        if (event) yield event
      }
    }
  } finally {
    signal.removeEventListener('abort', leave)
    leave()
  }
}

function parseEvent(text: string): ServerSentEvent | null {
  const event: ServerSentEvent = { data: '' }
  const data: string[] = []
  for (const line of text.split('\n')) {
    const colon = line.indexOf(': ')
    const value = line.slice(colon + 2)
    switch (line.slice(0, Math.max(0, colon))) {
      case 'data':
        data.push(value)
        break
      case 'event':
        event.event = value
        break
      case 'id':
        event.id = value
        break
    }
  }
  return data.length === 0 ? null : { ...event, data: data.join('\n') }
}

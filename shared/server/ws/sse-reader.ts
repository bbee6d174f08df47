import type { ServerSentEvent } from '../sse.ts'

/** The events of a stream as `encodeEvent` writes them; comments are left out. The caller cancels the reader. */
export async function* readEvents(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
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

/** One server-sent event: `event` is `message` when the stream names none, `id` the last id seen, or null. */
export interface SseMessage {
  event: string
  data: string
  id: string | null
}

/**
 * Reads server-sent events as the HTML standard defines them (chapter 9.2.6): all three kinds of newline, a byte order
 * mark, comments, UTF-8 cut anywhere, several `data` lines. An event that the end of the body cuts off is dropped.
 * Leaving the loop early cancels the body. Throws what the body throws.
 */
export async function* readSse(body: ReadableStream<Uint8Array>): AsyncGenerator<SseMessage, void> {
  let event = ''
  let id: string | null = null
  let data: string[] = []
  for await (const line of readLines(body)) {
    if (line === '') {
      if (data.length > 0) yield { event: event || 'message', data: data.join('\n'), id }
      event = ''
      data = []
      continue
    }
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
    else if (field === 'id' && !value.includes('\0')) id = value
  }
}

/** Lines of a body, each as soon as its newline is there: a lone CR ends one without waiting for what follows. */
async function* readLines(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  const newline = /\r\n|\n|\r/g
  let buffer = ''
  let afterCr = false
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      let text = decoder.decode(value, { stream: true })
      if (text === '') continue
      if (afterCr && text.startsWith('\n')) text = text.slice(1)
      // A long line in many chunks is searched once: only what is new can hold a newline.
      newline.lastIndex = buffer.length
      buffer += text
      let start = 0
      for (let match = newline.exec(buffer); match; match = newline.exec(buffer)) {
        yield buffer.slice(start, match.index)
        start = newline.lastIndex
      }
      afterCr = buffer.endsWith('\r')
      buffer = buffer.slice(start)
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

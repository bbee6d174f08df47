import assert from 'node:assert/strict'
import { readSse, type SseMessage } from '../../shared/client/sse.ts'

const bytes = new TextEncoder()

/** A body that delivers these chunks and remembers whether its reader left. */
function bodyOf(chunks: Uint8Array[]) {
  const state = { cancelled: false }
  let next = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = chunks[next++]
      if (chunk) controller.enqueue(chunk)
      else controller.close()
    },
    cancel() {
      state.cancelled = true
    },
  })
  return { body, state }
}

async function readAll(chunks: Uint8Array[]): Promise<SseMessage[]> {
  const found: SseMessage[] = []
  for await (const message of readSse(bodyOf(chunks).body)) found.push(message)
  return found
}

function cut(text: string, size: number): Uint8Array[] {
  const all = bytes.encode(text)
  const chunks: Uint8Array[] = []
  for (let at = 0; at < all.length; at += size) chunks.push(all.slice(at, at + size))
  return chunks
}

describe('readSse', () => {
  const expected: SseMessage[] = [
    { event: 'ready', data: '{"id":7}', id: null },
    { event: 'message', data: 'zwei\nZeilen mit Größe 🦊', id: '8' },
    { event: 'message', data: ' kept space', id: '8' },
    { event: 'block.updated', data: '', id: '9' },
  ]
  const lines = [
    ': a comment',
    'event: ready',
    'data: {"id":7}',
    '',
    'id: 8',
    'retry: 100',
    'data: zwei',
    'data:Zeilen mit Größe 🦊',
    '',
    'event: nobody sees an event without data',
    '',
    'data:  kept space',
    '',
    ': ping',
    '',
    'event: block.updated',
    'id: 9',
    'data',
    '',
  ]

  for (const [name, newline] of [
    ['LF', '\n'],
    ['CRLF', '\r\n'],
    ['CR', '\r'],
  ] as const) {
    it(`reads the same events with ${name}, cut after any number of bytes`, async () => {
      const text = lines.map((line) => line + newline).join('')
      for (let size = 1; size <= bytes.encode(text).length; size++) {
        assert.deepEqual(await readAll(cut(text, size)), expected, `chunks of ${size} bytes`)
      }
    })
  }

  it('skips a byte order mark and drops an event the end of the body cuts off', async () => {
    assert.deepEqual(await readAll([bytes.encode('\uFEFFdata: one\n\ndata: half')]), [
      { event: 'message', data: 'one', id: null },
    ])
  })

  it('gives an event out before the body has more', async () => {
    let controller!: ReadableStreamDefaultController<Uint8Array>
    const reader = readSse(new ReadableStream({ start: (c) => void (controller = c) }))
    for (const end of ['\n\n', '\r\r', '\r\n\r\n']) {
      controller.enqueue(bytes.encode(`data: now${end}`))
      assert.deepEqual((await reader.next()).value, { event: 'message', data: 'now', id: null })
    }
    await reader.return()
  })

  it('cancels the body when its reader leaves early', async () => {
    const { body, state } = bodyOf(cut('data: 1\n\ndata: 2\n\n', 9))
    for await (const _ of readSse(body)) break
    assert.equal(state.cancelled, true)
  })
})

import type { FetchLike } from '@modelcontextprotocol/client'
import { Flow } from './flow.ts'
import type { McpLimits } from './limits.ts'
import { messageProblem } from './message-guard.ts'

/** Bytes of an answer that is none of MCP's: an error page, metadata of an authorization server. */
const MAX_OTHER = 256 * 1024

/** A `fetch` whose answers are read no faster and no longer than a server may take of us. */
export function boundedFetch(limits: McpLimits): FetchLike {
  const flow = new Flow(limits)
  return async (url, init) => {
    refuseLinkLocal(new URL(url))
    const response = await fetch(url, init)
    if (!response.body) return response
    const stream = response.headers.get('content-type')?.includes('text/event-stream') === true
    const max = response.ok ? limits.message_bytes : MAX_OTHER
    const body = response.body.pipeThrough(stream && response.ok ? events(max, flow) : whole(max, flow))
    const bounded = new Response(body, {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    })
    // Redirects are judged by where the answer came from.
    Object.defineProperties(bounded, {
      url: { value: response.url },
      redirected: { value: response.redirected },
      type: { value: response.type },
    })
    return bounded
  }
}

/** Where clouds keep the credentials of a machine: a server that names such an address for its log-in does not get it. */
function refuseLinkLocal({ hostname }: URL): void {
  if (/^(169\.254\.\d+\.\d+|\[fe[89ab][0-9a-f]:.*\])$/i.test(hostname))
    throw new Error(`addresses like ${hostname} are not asked: they belong to the machine itself`)
}

type Bytes = Uint8Array<ArrayBuffer>

/** Passes a body on once it is there, has the size and is fit to be parsed. */
function whole(max: number, flow: Flow): TransformStream<Bytes, Bytes> {
  const pieces: Bytes[] = []
  let length = 0
  return new TransformStream({
    async transform(piece) {
      length += piece.length
      if (length > max) throw tooLong(max)
      pieces.push(piece)
      await pause(flow.take({ messages: 0, bytes: piece.length }))
    },
    async flush(controller) {
      const body = Buffer.concat(pieces)
      const problem = messageProblem(body)
      if (problem !== null) throw new Error(`it sent a message with ${problem}`)
      await pause(flow.take({ messages: 1, bytes: 0 }))
      controller.enqueue(body)
    },
  })
}

/** Passes a stream of events on, one event at a time. */
function events(max: number, flow: Flow): TransformStream<Bytes, Bytes> {
  let pieces: Bytes[] = []
  let length = 0
  /** Ends of lines since the last other byte: an empty line ends an event. */
  let line = 0
  const add = (piece: Bytes) => {
    length += piece.length
    if (length > max) throw tooLong(max)
    if (piece.length > 0) pieces.push(piece)
  }
  return new TransformStream({
    async transform(piece, controller) {
      let start = 0
      let count = 0
      for (let i = 0; i < piece.length; i++) {
        const byte = piece[i]
        if (byte !== 10 && byte !== 13) {
          line = 0
          continue
        }
        // CR LF is one end.
        if (byte === 10 && i > 0 && piece[i - 1] === 13) continue
        line++
        if (line < 2) continue
        add(piece.subarray(start, i + 1))
        start = i + 1
        count++
        const event = Buffer.concat(pieces)
        pieces = []
        length = 0
        const problem = messageProblem(event)
        if (problem !== null) throw new Error(`it sent a message with ${problem}`)
        controller.enqueue(event)
      }
      add(piece.subarray(start))
      await pause(flow.take({ messages: count, bytes: piece.length }))
    },
    flush(controller) {
      if (pieces.length > 0) controller.enqueue(Buffer.concat(pieces))
    },
  })
}

function tooLong(max: number): Error {
  return new Error(
    `it sent a message of more than ${max >= 1024 * 1024 ? `${Math.round(max / 1024 / 1024)} MB` : `${Math.round(max / 1024)} kB`}`,
  )
}

async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
}

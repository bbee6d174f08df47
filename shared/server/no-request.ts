import { maxHeaderSize, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { linger } from './connections.ts'

/** Answers with a sentence, as every error here has one, what never became a request. Without this Node answers nothing. */
export function answerGarbage(server: Server): void {
  const answering = new WeakMap<Duplex, ServerResponse>()
  server.on('request', (request, response) => void answering.set(request.socket, response))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const response = answering.get(socket)
    const midAnswer = response?.headersSent === true && !response.writableEnded
    if (!socket.writable || error.code === 'ECONNRESET' || midAnswer) return void socket.destroy(error)
    const [status, detail] = describe(error)
    const body = JSON.stringify({ detail })
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\nx-should-retry: false\r\n` +
        `connection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
    // Whoever says nothing may not close either.
    linger(socket)
  })
}

/** The answer for a request line, an address or a Host header that is none. */
export function invalidRequest(error: unknown): Response {
  const reason = error instanceof Error && error.message !== '' ? `: ${error.message}` : ''
  return Response.json(
    { detail: `this is no request that could be answered${reason}` },
    { status: 400, headers: { 'x-should-retry': 'false' } },
  )
}

function describe(error: NodeJS.ErrnoException): [status: number, detail: string] {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return [
        431,
        `the address and headers of the request are larger than the ${maxHeaderSize} bytes this server takes; send less in the query`,
      ]
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'the request did not arrive whole in time']
    default:
      return [400, `this is no HTTP request: ${error.message}`]
  }
}

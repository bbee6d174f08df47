import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { keepToLimit, linger } from './connections.ts'

/** What a client may cost before it has said anything worth it. Times in milliseconds. */
export interface ConnectionLimits {
  /** Connections at once: those that ask nothing make room for a new one; when there are none of them, it is refused. */
  connections: number
  /** Until the head of a request has come. */
  headers_ms: number
  /** Until a request has come whole, with its body. */
  request_ms: number
  /** How long a client may read nothing of an answer that waits for it, or send nothing of a request that has begun. */
  stalled_ms: number
  /** How long a connection stays open for its next request. */
  keep_alive_ms: number
  /** Largest body that any route takes, in bytes: what says that it is larger is refused before it comes. */
  body_bytes: number
}

/** What holds where nothing else is said. */
export const USUAL_LIMITS: ConnectionLimits = {
  connections: 4096,
  headers_ms: 15_000,
  request_ms: 300_000,
  stalled_ms: 120_000,
  // Longer than proxies keep theirs, which would otherwise send into one that is just closing.
  keep_alive_ms: 75_000,
  body_bytes: Infinity,
}

/** Headers of every answer that says nothing else: what a browser must not do with it. */
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  // Conversations are nobody's cache's business.
  'cache-control': 'no-store',
}

/**
 * A server of HTTP, or HTTPS with `tls`, that keeps its limits against clients that are slow, silent, too many or too
 * loud. Listens to nothing yet; the caller closes it.
 */
export function createHttpServer(
  answer: RequestListener,
  options: { limits: ConnectionLimits; tls: SecureContextOptions | null } & Pick<
    ServerOptions,
    'shouldUpgradeCallback'
  >,
): Server {
  const { limits, tls, shouldUpgradeCallback } = options
  const refused = new WeakSet<Socket>()
  const answering = new WeakMap<Socket, ServerResponse>()
  const isTooLarge = ({ headers }: IncomingMessage) =>
    Number(headers['content-length'] ?? 0) > limits.body_bytes
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    if (refused.has(socket)) return
    if (!answering.has(socket)) crowd.asked(socket)
    answering.set(socket, response)
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
    if (!isTooLarge(request)) return answer(request, response)
    refused.add(socket)
    refuse(
      socket,
      '413 Payload Too Large',
      `the request body is larger than the ${limits.body_bytes} bytes that this server takes at most (of a file as much as server.max_upload_mb in config.json says)`,
    )
  }
  const settings: ServerOptions = {
    ...(shouldUpgradeCallback && {
      shouldUpgradeCallback(request: IncomingMessage) {
        const upgrades = shouldUpgradeCallback(request)
        if (upgrades) crowd.asked(request.socket)
        return upgrades
      },
    }),
    // One without a Host reaches the listener, which has words for it.
    requireHostHeader: false,
    headersTimeout: Math.min(limits.headers_ms, limits.request_ms),
    requestTimeout: limits.request_ms,
    connectionsCheckingInterval: Math.min(2_000, limits.headers_ms),
    keepAliveTimeout: limits.keep_alive_ms,
    noDelay: true,
  }
  const server = tls
    ? createTlsServer(
        { ...settings, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: limits.headers_ms },
        listener,
      )
    : createServer(settings, listener)
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // Who asks before sending too much is not told to send it.
    if (!isTooLarge(request)) response.writeContinue()
    server.emit('request', request, response)
  })
  // A handshake that fails is the client's business; without this some of them would end the process.
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())
  server.setTimeout(limits.stalled_ms, (socket: Socket) => {
    const response = answering.get(socket)
    const isWaitingForUs = response && !response.writableEnded && response.req.complete
    if (isWaitingForUs && socket.writableLength === 0) return
    socket.destroy()
  })
  const refuseTooMany = (socket: Socket) => {
    refused.add(socket)
    if (tls) return void socket.destroy()
    const detail = 'too many connections to this server; try again in a moment'
    refuse(socket, '503 Service Unavailable', detail, ['retry-after: 1'])
  }
  const crowd = keepToLimit(server, {
    limit: limits.connections,
    tls: tls !== null,
    answerOf: (socket) => answering.get(socket),
    refuse: refuseTooMany,
  })
  return server
}

/** Answers on the bare connection, and ends it. */
function refuse(
  socket: Socket,
  status: string,
  detail: string,
  headers: string[] = ['x-should-retry: false'],
): void {
  const body = JSON.stringify({ detail })
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...headers,
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  linger(socket)
}

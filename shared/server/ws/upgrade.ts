import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { KEY_HEADERS } from '../access.ts'
import type { UpgradedApi } from '../listen.ts'
import { Session } from './session.ts'
import { SOCKET_PATH, type SocketLimits } from './sockets.ts'

/** Of the handshake what says whose the requests of the socket are. */
const CREDENTIALS = KEY_HEADERS.map(([name]) => name)
const CARRIED = ['host', 'origin', 'user_id', ...CREDENTIALS]
/** How long a close frame may wait for its answer, in milliseconds: it is behind all that a peer has not read. */
const CLOSE_MS = 10_000
/** How long sockets may take to tell how turns ended when the server closes, and then to close, in milliseconds. */
const LAST_FRAMES_MS = 2_000

/** What serves sockets, once one was asked for. */
export interface Served {
  /** Answers an upgrade, or refuses it in words. Rejects for what is our fault. */
  open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
  close(drained: Promise<unknown>): Promise<void>
}

/** See `webSockets`. */
export function serveSockets(
  api: UpgradedApi,
  options: {
    limits: SocketLimits
    onFailure: (where: string, error: unknown) => void
    onCount: (change: 1 | -1) => void
  },
): Served {
  const { limits, onFailure, onCount } = options
  const settings = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.message_bytes,
    closeTimeout: CLOSE_MS,
  }
  const server = new WebSocketServer(settings)
  server.on('wsClientError', (error, socket) =>
    refuse(socket, 400, `this is no WebSocket handshake of version 13: ${error.message}`),
  )
  const sessions = new Set<Session>()
  /** Those too that are closed already for their peer, who has not heard it yet. */
  const connections = new Set<Duplex>()
  let closing = false
  let onLastGone = () => undefined as void
  const passed = api.gate(() => Promise.resolve(new Response(null, { status: 204 })))
  /** What the gate says to these headers: 204 when they are let in. */
  const ask = (headers: Headers) =>
    // Not GET, which pages without an origin may send: its answer is not theirs to read, while a socket is.
    passed(new Request('http://localhost/v1/ws', { method: 'POST', headers }))
  const isLetIn = async (headers: Headers) => (await ask(headers)).status === 204

  async function open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    const refused = await api.refusal(request.socket)
    if (refused != null) return refuse(socket, 403, refused)
    const wrong = closing ? ([503, 'the server stops'] as const) : wrongAddress(request)
    if (wrong) return refuse(socket, ...wrong)
    const headers = carried(request)
    const answer = await ask(headers)
    const hasCredentials = CREDENTIALS.some((name) => headers.has(name))
    if (answer.status !== 204 && (answer.status !== 401 || hasCredentials))
      return refuse(socket, answer.status, await detailOf(answer))
    const notReadable = foreignPage(headers, answer)
    if (notReadable !== null) return refuse(socket, 403, notReadable)
    server.handleUpgrade(request, socket, head, (ws) => {
      const session: Session = new Session(ws, request.socket, {
        limits,
        headers,
        isLetIn,
        onFailure,
        agent: agentIn(request.url),
        auth: answer.status === 401 ? 'needed' : hasCredentials ? 'given' : 'possible',
        fetch: api.fetch,
        onGone() {
          if (sessions.delete(session)) onCount(-1)
          if (sessions.size === 0) onLastGone()
        },
      })
      sessions.add(session)
      onCount(1)
      // Whoever closed while we asked closes this one too.
      if (closing) session.stop()
    })
  }

  return {
    open,
    async close(drained: Promise<unknown>): Promise<void> {
      closing = true
      for (const session of sessions) session.stop()
      await drained.catch(() => undefined)
      if (sessions.size > 0) {
        const { promise, resolve } = Promise.withResolvers<void>()
        onLastGone = resolve
        const late = setTimeout(resolve, LAST_FRAMES_MS)
        await promise
        clearTimeout(late)
      }
      for (const session of sessions) session.close()
      setTimeout(() => {
        for (const socket of connections) socket.destroy()
      }, LAST_FRAMES_MS).unref()
    },
  }
}

/** Why a page may not have a socket: it reads answers, so it must be one that may read them. */
function foreignPage(headers: Headers, answer: Response): string | null {
  const origin = headers.get('origin')
  if (origin === null || answer.headers.has('access-control-allow-origin')) return null
  if (URL.parse(origin)?.host === headers.get('host')?.toLowerCase()) return null
  return `sockets of the web page origin '${origin}' are not allowed; \`loci server --cors ORIGIN\` lets a page that you trust use them`
}

function wrongAddress({ url = '' }: IncomingMessage): readonly [number, string] | null {
  if (!SOCKET_PATH.test(pathOf(url)))
    return [404, 'WebSockets are served on /v1/ws and /v1/agents/{agent_id}/ws']
  const asked = new URLSearchParams(url.split('?', 2)[1] ?? '')
  if ([...asked.keys()].some((name) => /token|key|password|auth|secret/i.test(name)))
    return [
      400,
      'an address is written into logs: send the token as a header, or first of all as {"type":"auth","token":…}',
    ]
  return null
}

function carried(request: IncomingMessage): Headers {
  const headers = new Headers({ 'content-type': 'application/json' })
  for (const name of CARRIED) {
    const value = request.headers[name]
    if (typeof value === 'string') headers.set(name, value)
  }
  return headers
}

function refuse(socket: Duplex, status: number, detail: string): void {
  const body = JSON.stringify({ detail })
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    'x-should-retry': 'false',
    ...(status === 400 ? { 'sec-websocket-version': '13' } : {}),
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`, () =>
    socket.destroy(),
  )
}

async function detailOf(answer: Response): Promise<string> {
  const { detail } = (await answer.json()) as { detail: unknown }
  return typeof detail === 'string' ? detail : JSON.stringify(detail)
}

/** The id or name of the agent that an address names, as it is written where that is no percent-encoding. */
function agentIn(url: string | undefined): string | null {
  const written = SOCKET_PATH.exec(pathOf(url))?.[1]
  if (written === undefined) return null
  try {
    return decodeURIComponent(written)
  } catch {
    return written
  }
}

function pathOf(url = ''): string {
  return url.split('?', 1)[0] ?? ''
}

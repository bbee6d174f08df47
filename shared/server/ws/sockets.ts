import { createHash } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { UpgradedApi, Upgrades } from '../listen.ts'
import { type SocketLimits, SOCKET_LIMITS } from './peer.ts'
import { Session } from './session.ts'

const PATH = /^\/(?:v1|latest)(?:\/agents\/([\w-]{1,128}))?\/ws\/?$/
/** RFC 6455, 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
/** Of the handshake what says whose the requests of the socket are. */
const CARRIED = ['host', 'origin', 'authorization', 'x-bare-password', 'x-api-key', 'user_id']
const CREDENTIALS = ['authorization', 'x-bare-password', 'x-api-key']
/** How long frames that say the end of a turn may take to be sent when the server closes, in milliseconds. */
const LAST_FRAMES_MS = 200
/** When what is then still connected is cut, in milliseconds. */
const CUT_MS = 2_000

/**
 * WebSockets on `/v1/ws` and `/v1/agents/{id}/ws`. Closing ends those that follow no turn at once, the others when
 * turns were given their time.
 */
export function webSockets(limits: Partial<SocketLimits> = {}): Upgrades {
  return {
    isMeant: ({ headers, url }) => headers.upgrade?.toLowerCase() === 'websocket' && PATH.test(pathOf(url)),
    serve: (server, api) => serveSockets(server, api, { ...SOCKET_LIMITS, ...limits }),
  }
}

function serveSockets(server: Server, api: UpgradedApi, limits: SocketLimits): ReturnType<Upgrades['serve']> {
  const sessions = new Set<Session>()
  /** Those too that are closed already for their peer, who has not heard it yet. */
  const connections = new Set<Duplex>()
  let closing = false
  const isLetIn = async (headers: Headers) => (await ask(api, headers)).status === 204
  const open = async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const refused = await api.refusal(request.socket)
    if (refused != null) return refuse(socket, 403, refused)
    const wrong = closing ? ([503, 'the server stops'] as const) : wrongHandshake(request)
    if (wrong) return refuse(socket, ...wrong)
    const headers = carried(request)
    const answer = await ask(api, headers)
    const hasCredentials = CREDENTIALS.some((name) => headers.has(name))
    if (answer.status !== 204 && (answer.status !== 401 || hasCredentials))
      return refuse(socket, answer.status, await detailOf(answer))
    const notReadable = foreignPage(headers, answer)
    if (notReadable !== null) return refuse(socket, 403, notReadable)
    if (socket.destroyed) return
    accept(socket, request.headers['sec-websocket-key'] ?? '')
    const session = new Session(socket, head, {
      limits,
      headers,
      isLetIn,
      agent_id: PATH.exec(pathOf(request.url))?.[1] ?? null,
      auth: answer.status === 401 ? 'needed' : hasCredentials ? 'given' : 'possible',
      fetch: api.fetch,
    })
    sessions.add(session)
    session.gone.addEventListener('abort', () => sessions.delete(session), { once: true })
    // Whoever closed while we asked closes this one too.
    if (closing) session.stop()
  }
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    connections.add(socket)
    socket.on('error', () => socket.destroy()).once('close', () => connections.delete(socket))
    open(request, socket, head).catch(() => socket.destroy())
  })
  return {
    async close(drained) {
      closing = true
      for (const session of sessions) session.stop()
      await drained.catch(() => undefined)
      if (sessions.size > 0) await new Promise((resolve) => setTimeout(resolve, LAST_FRAMES_MS))
      for (const session of sessions) session.close()
      setTimeout(() => {
        for (const socket of connections) socket.destroy()
      }, CUT_MS).unref()
    },
  }
}

/** What the gate says to these headers: 204 when they are let in. */
function ask({ gate }: UpgradedApi, headers: Headers): Promise<Response> {
  // Not GET, which pages without an origin may send: its answer is not theirs to read, while a socket is.
  const request = new Request('http://localhost/v1/ws', { method: 'POST', headers })
  return gate(() => Promise.resolve(new Response(null, { status: 204 })))(request)
}

/** Why a page may not have a socket: it reads answers, so it must be one that may read them. */
function foreignPage(headers: Headers, answer: Response): string | null {
  const origin = headers.get('origin')
  if (origin === null || answer.headers.has('access-control-allow-origin')) return null
  if (URL.parse(origin)?.host === headers.get('host')?.toLowerCase()) return null
  return `sockets of the web page origin '${origin}' are not allowed; \`loci server --cors ORIGIN\` lets a page that you trust use them`
}

function wrongHandshake({ method, url, headers }: IncomingMessage): readonly [number, string] | null {
  const asked = new URLSearchParams(url?.split('?', 2)[1] ?? '')
  if (headers.upgrade?.toLowerCase() !== 'websocket' || !PATH.test(pathOf(url)))
    return [404, 'WebSockets are served on /v1/ws and /v1/agents/{agent_id}/ws']
  if (method !== 'GET' || headers['sec-websocket-version'] !== '13')
    return [426, 'this is no WebSocket handshake of version 13']
  if (!/^[A-Za-z0-9+/]{22}==$/.test(headers['sec-websocket-key'] ?? ''))
    return [400, 'the header Sec-WebSocket-Key is missing, or is not 16 bytes in base64']
  if ([...asked.keys()].some((name) => /token|key|password|auth/i.test(name)))
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

function accept(socket: Duplex, key: string): void {
  const proof = createHash('sha1')
    .update(key + GUID)
    .digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${proof}\r\n\r\n`,
  )
}

function refuse(socket: Duplex, status: number, detail: string): void {
  const body = JSON.stringify({ detail })
  const more =
    (status === 426 ? 'sec-websocket-version: 13\r\n' : '') +
    (status === 401 ? 'www-authenticate: Bearer\r\n' : '')
  socket.end(
    `HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\nx-should-retry: false\r\n${more}` +
      `connection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}

async function detailOf(answer: Response): Promise<string> {
  const { detail } = (await answer.json()) as { detail: unknown }
  return typeof detail === 'string' ? detail : JSON.stringify(detail)
}

function pathOf(url = ''): string {
  return url.split('?', 1)[0] ?? ''
}

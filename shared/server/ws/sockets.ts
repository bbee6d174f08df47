import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Upgrades } from '../listen.ts'
import type { Served } from './upgrade.ts'

/** What a socket may cost. Times in milliseconds, sizes in bytes. */
export interface SocketLimits {
  /** A message of a client. */
  message_bytes: number
  /** What waits for a reader; nothing more is made for it beyond that. */
  buffer_bytes: number
  /** How long a reader that is behind may read nothing at all. */
  stall_ms: number
  /** How often a peer is asked whether it is there, and its key is looked at again. */
  heartbeat_ms: number
  /** How long the first frame may take where it has to say who asks. */
  auth_ms: number
}

const LIMITS: SocketLimits = {
  message_bytes: 4 * 1024 * 1024,
  buffer_bytes: 1024 * 1024,
  stall_ms: 30_000,
  heartbeat_ms: 30_000,
  auth_ms: 5_000,
}

/** Where sockets are: for all agents, or, with its id or name (percent-encoded) in the first group, for one. */
export const SOCKET_PATH = /^\/(?:v1|latest)(?:\/agents\/([^/?]{1,3000}))?\/ws\/?$/

/** Loads what serves sockets, as the first of them does. */
export const loadSockets = () => import('./upgrade.ts')

/**
 * WebSockets on `/v1/ws` and `/v1/agents/{id}/ws`; their code is loaded by the first. Closing ends those that follow no
 * turn at once, the others when turns were given their time. `onFailure` hears of what is our fault.
 */
export function webSockets(options: {
  limits?: Partial<SocketLimits> | undefined
  onFailure: (where: string, error: unknown) => void
  /** Hears of each that opens or closes. */
  onCount?: (change: 1 | -1) => void
}): Upgrades {
  const { onFailure, onCount = () => undefined } = options
  const limits = { ...LIMITS, ...options.limits }
  return {
    isMeant: ({ headers, url }) => headers.upgrade?.toLowerCase() === 'websocket' && isSocketPath(url),
    serve(server, api) {
      let served: Promise<Served> | null = null
      let closed = false
      const load = () => {
        served ??= loadSockets().then(({ serveSockets }) => serveSockets(api, { limits, onFailure, onCount }))
        // It may be there the next time.
        served.catch(() => (served = null))
        return served
      }
      server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        socket.on('error', () => socket.destroy())
        if (closed) return void socket.destroy()
        load()
          .then((served) => served.open(request, socket, head))
          .catch((error: unknown) => {
            onFailure('opening a WebSocket', error)
            socket.destroy()
          })
      })
      return {
        async close(drained) {
          closed = true
          await (await served?.catch(() => null))?.close(drained)
        },
      }
    },
  }
}

function isSocketPath(url = ''): boolean {
  return SOCKET_PATH.test(url.split('?', 1)[0] ?? '')
}

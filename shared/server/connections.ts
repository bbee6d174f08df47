import type { Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'

/** How long what is refused may still send, so that it reads why, in milliseconds. */
const LINGER_MS = 2_000
/** Of those that were refused for the crowd so many may linger; beyond that the one that came first is cut. */
const MAX_LINGERING = 256

/** Reads on for a moment after the last answer: a connection that is closed at once loses what it was told. */
export function linger(socket: Duplex): void {
  socket.on('error', () => socket.destroy())
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}

export interface CrowdOptions {
  /** Connections at once. */
  limit: number
  /** Whether connections carry TLS: requests then name another socket than the one below. */
  tls: boolean
  /** The last answer on a connection, by the socket that its request names. */
  answerOf: (socket: Socket) => ServerResponse | undefined
  /** Tells one that finds no room so, and ends it. */
  refuse: (socket: Socket) => void
}

/**
 * Keeps a server to its limit of connections. In the way of a new one are, in this order: those between two requests, those
 * on which none has come whole as far as its body (the oldest first: who has just come is about to ask), and those that
 * have their answer and still owe the rest of their request. When there is none of them, the new one is refused.
 * To be called before the server listens; `asked` is to be told of the socket of each request.
 */
export function keepToLimit(server: Server, options: CrowdOptions): { asked: (socket: Socket) => void } {
  const { limit, tls, answerOf, refuse } = options
  const connected = new Set<Socket>()
  /** Those of them that speak HTTP, which behind TLS are others. */
  const speaking = tls ? new Set<Socket>() : connected
  /** Those on which nothing was asked yet, by who is at the other end, which is the same above and below TLS. */
  const silent = new Map<string, Socket>()
  const lingering = new Set<Socket>()

  function onConnection(socket: Socket): void {
    const peer = peerOf(socket)
    remember(connected, socket)
    silent.set(peer, socket)
    socket.once('close', () => {
      if (silent.get(peer) === socket) silent.delete(peer)
    })
    if (connected.size <= limit || makeRoom(socket)) return
    connected.delete(socket)
    silent.delete(peer)
    for (const first of lingering) {
      if (lingering.size < MAX_LINGERING) break
      lingering.delete(first)
      first.destroy()
    }
    remember(lingering, socket)
    refuse(socket)
  }

  /** Whether there is a place for the newest, which is among them already. */
  function makeRoom(newest: Socket): boolean {
    server.closeIdleConnections()
    // Those that were closed just now are still among them.
    const gone = [...speaking].filter(({ destroyed }) => destroyed).length
    if (connected.size - gone <= limit) return true
    for (const [peer, socket] of silent) {
      if (socket === newest) break
      silent.delete(peer)
      return cut(socket)
    }
    for (const socket of speaking) {
      const answer = socket.destroyed ? undefined : answerOf(socket)
      if (answer?.writableFinished && !answer.req.complete) return cut(socket)
    }
    return false
  }

  function cut(socket: Socket): true {
    // Its place is free from now on, not from when it is closed.
    connected.delete(socket)
    speaking.delete(socket)
    socket.destroy()
    return true
  }

  server.on('connection', onConnection)
  if (tls) server.on('secureConnection', (socket: Socket) => remember(speaking, socket))
  return { asked: (socket) => void silent.delete(peerOf(socket)) }
}

function remember(set: Set<Socket>, socket: Socket): void {
  set.add(socket)
  socket.once('close', () => set.delete(socket))
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

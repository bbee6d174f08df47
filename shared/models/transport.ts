/**
 * HTTP for models over node:http. The global fetch gives up after 300 s without headers, which local models need, and
 * its web streams cost more than all the rest of a streamed token.
 */
import http from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import https from 'node:https'

export interface TransportRequest {
  method: string
  headers?: Record<string, string>
  body?: string | undefined
  signal: AbortSignal
  /** Rejects with `ConnectTimeout` when there is no connection after so many milliseconds. */
  connect_ms: number
}

/** No TCP (and TLS) connection within the limit. */
class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout'
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|.*\.localhost)$/
const agents = new Map<string, http.Agent>()

/** Connections are kept alive and shared; those to other machines go through the proxy of the environment. */
function agentFor(url: URL): http.Agent {
  const key = `${url.protocol}${LOOPBACK.test(url.hostname) ? 'loopback' : 'network'}`
  let agent = agents.get(key)
  if (!agent) {
    const options: https.AgentOptions & { proxyEnv?: NodeJS.ProcessEnv } = {
      keepAlive: true,
      scheduling: 'lifo',
    }
    if (key.endsWith('network')) options.proxyEnv = process.env
    agent = url.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options)
    agents.set(key, agent)
  }
  return agent
}

/**
 * Sends a request; resolves with the answer once its headers are there, whatever its status, redirects included.
 * The signal destroys the connection, also while the body is read.
 */
export function send(url: URL, request: TransportRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { signal } = request
    if (signal.aborted) return reject(asError(signal.reason))
    const options: RequestOptions = {
      method: request.method,
      headers: { ...request.headers },
      agent: agentFor(url),
    }
    if (request.body !== undefined) {
      options.headers = { ...request.headers, 'content-length': Buffer.byteLength(request.body) }
    }
    const outgoing = (url.protocol === 'https:' ? https : http).request(url, options)
    const abort = () => outgoing.destroy(asError(signal.reason))
    signal.addEventListener('abort', abort, { once: true })
    let timer: NodeJS.Timeout | undefined
    outgoing.once('socket', (socket) => {
      if (!socket.connecting) return
      timer = setTimeout(
        () => outgoing.destroy(new ConnectTimeout(`no connection after ${request.connect_ms} ms`)),
        request.connect_ms,
      )
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(timer))
    })
    outgoing.once('close', () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    })
    outgoing.on('error', reject)
    outgoing.once('response', resolve)
    outgoing.end(request.body)
  })
}

/** The whole body as text, at most `limit` bytes of it. */
export async function readText(incoming: IncomingMessage, limit = 64 * 1024 * 1024): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    pieces.push(piece)
    size += piece.length
    if (size >= limit) break
  }
  return Buffer.concat(pieces).subarray(0, limit).toString('utf8')
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}

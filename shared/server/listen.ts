import { getRequestListener } from '@hono/node-server'
import { Agent, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { AppError } from '../schema/errors.ts'
import { createDrain } from './drain.ts'
import { gate, type GateOptions, type Serve } from './gate.ts'
import { type ConnectionLimits, createHttpServer, USUAL_LIMITS } from './http-server.ts'
import { answerGarbage, invalidRequest } from './no-request.ts'
import type { TlsFiles } from './tls.ts'

/** How long answers that are complete may take to be read when the server closes, in milliseconds. */
const CLOSE_GRACE_MS = 2000
/** How long connections without an answer under way may take to end then. */
const IDLE_GRACE_MS = 250

export type Fetch = (request: Request) => Promise<Response>

export interface ListenOptions extends GateOptions {
  host: string
  /** 0 picks a free one. */
  port: number
  /** Why who has connected gets no answer; asked once for each connection. Null: everybody does. */
  refusal?: (socket: Socket) => Promise<string | null> | null
  /** What sees every request before anything else, and its answer last. */
  around?: (fetch: Fetch) => Fetch
  /** Speaks HTTPS with these, also when they are renewed while it listens. */
  tls?: TlsFiles | null
  /** Hears that a renewed certificate is used now (null), or why it is not. */
  onCertificate?: (failure: unknown) => void
  limits?: Partial<ConnectionLimits>
  /** Takes connections that become something else than HTTP; without it nobody is offered that. */
  upgrades?: Upgrades
}

/** What speaks another protocol over a connection that began as a request. */
export interface Upgrades {
  /** Whether a request asks for that; every other is answered as if it had offered no upgrade. */
  isMeant(request: IncomingMessage): boolean
  /** Begins to take them; `close` resolves when those there are were told to end, those with a turn after `drained`. */
  serve(server: Server, api: UpgradedApi): { close(drained: Promise<unknown>): Promise<void> }
}

/** The API as what was upgraded reaches it. */
export interface UpgradedApi {
  /** With its gate, as requests reach it. Never rejects. */
  fetch: Fetch
  /** The gate alone, before what it is given. */
  gate: (serve: Serve) => Fetch
  /** Why who has connected gets no answer; null: they do. */
  refusal: (socket: Socket) => Promise<string | null> | undefined
}

export interface Listening {
  /** For example `http://127.0.0.1:8283`. */
  url: string
  /**
   * Answers 503 to what is asked from now on, and resolves when every answer under way has ended by itself or, some
   * moments after both `drained` and `grace_ms`, was cut.
   */
  close(drained: Promise<unknown>, grace_ms?: number): Promise<void>
}

/**
 * Serves an app on a socket. Throws `invalid_argument` with the way out for a taken or forbidden port, and for an address
 * that others can reach when there is no key, and for a certificate that cannot be used.
 */
export async function listenOn(serve: Serve, options: ListenOptions): Promise<Listening> {
  const { host, port } = options
  if (options.key === null && !isLoopback(host))
    throw new AppError(
      'invalid_argument',
      `not listening on ${host} without a key: whoever reaches it could use every agent and model here; ` +
        'start it with --auth, or listen on 127.0.0.1',
    )
  const drain = createDrain()
  const gateOf = (serve: Serve) =>
    gate(drain.admit(serve), { ...options, allowed_hosts: [host, ...options.allowed_hosts] })
  const fetch = options.around ? options.around(gateOf(serve)) : gateOf(serve)
  const listener = getRequestListener(fetch, { errorHandler: invalidRequest })
  const tls = options.tls ? await import('./tls.ts') : null
  const pair = tls && options.tls ? await tls.readTls(options.tls) : null
  const refusals = new WeakMap<Socket, Promise<string | null>>()
  const shouldUpgradeCallback = (request: IncomingMessage) => options.upgrades?.isMeant(request) ?? false
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const asked = refusals.get(request.socket)
    if (!asked) return void listener(request, response)
    void asked.then((why) => {
      if (why !== null) return refuse(response, why)
      refusals.delete(request.socket)
      return listener(request, response)
    })
  }
  const limits = { ...USUAL_LIMITS, ...options.limits }
  const server = createHttpServer(answer, { limits, tls: pair, shouldUpgradeCallback })
  drain.watch(server)
  // Behind TLS a request names the socket that speaks it, not the one below.
  server.on(pair ? 'secureConnection' : 'connection', (socket: Socket) => {
    const asked = options.refusal?.(socket)
    if (asked) refusals.set(socket, asked)
  })
  answerGarbage(server)
  const refusal = (socket: Socket) => refusals.get(socket)
  const upgraded = options.upgrades?.serve(server, { fetch, gate: gateOf, refusal })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  }).catch(async (error: NodeJS.ErrnoException) => {
    throw describe(error, {
      host,
      port,
      by: error.code === 'EADDRINUSE' ? await whoAnswers(host, port) : null,
    })
  })
  const address = server.address() as AddressInfo
  const { onCertificate = () => undefined } = options
  const following =
    tls && pair && options.tls
      ? tls.followTls(server as TlsServer, options.tls, { present: pair, onOutcome: onCertificate })
      : null
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return {
    url: `${pair ? 'https' : 'http'}://${name}:${address.port}`,
    async close(drained, grace_ms = 0) {
      following?.stop()
      await Promise.all([drain.end(drained, { grace_ms, cut_ms: CLOSE_GRACE_MS }), upgraded?.close(drained)])
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      // A connection whose answer has just ended is idle only a moment later.
      const idle = setInterval(() => server.closeIdleConnections(), 20)
      const last = setTimeout(() => server.closeAllConnections(), IDLE_GRACE_MS)
      await closed
      clearInterval(idle)
      clearTimeout(last)
    },
  }
}

function refuse(response: ServerResponse, detail: string): void {
  const headers = { 'content-type': 'application/json', 'x-should-retry': 'false', connection: 'close' }
  response.writeHead(403, headers).end(JSON.stringify({ detail }))
}

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** How long what holds a port may take to say what it is, in milliseconds. */
const HEALTH_MS = 1000

/** A Loci, or another server with the same API, on a taken port, with what to do about it; null for anything else. */
async function whoAnswers(host: string, port: number): Promise<string | null> {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  const url = `http://${name.includes(':') ? `[${name}]` : name}:${port}`
  // An agent of its own: the global one may send even loopback through the user's proxy.
  const agent = new Agent()
  const answer = await new Promise<string>((resolve) => {
    get(`${url}/v1/health/`, { agent, signal: AbortSignal.timeout(HEALTH_MS) }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        if (body.length < 10_000) body += piece
      })
      response.on('end', () => resolve(body)).on('error', () => resolve(''))
    }).on('error', () => resolve(''))
  })
  agent.destroy()
  const health = /"version":\s*"([\w.+-]{1,40})".*"status":\s*"ok"/s.exec(answer)
  return health && `a Loci that is running already (${health[1]}); use it at ${url}`
}

function describe(
  error: NodeJS.ErrnoException,
  { host, port, by }: { host: string; port: number; by: string | null },
): AppError {
  const where = `${host}:${port}`
  const text: Record<string, string> = {
    EADDRINUSE: `port ${port} on ${host} is taken by ${by ?? 'another program; stop it'}, or choose another with --port (0 picks a free one)`,
    EACCES: `this user may not listen on ${where}; choose a port above 1023 with --port`,
    EADDRNOTAVAIL: `${host} is not an address of this machine; choose another with --host`,
    ENOTFOUND: `the host name '${host}' is unknown; choose another with --host`,
  }
  return new AppError(
    'invalid_argument',
    text[error.code ?? ''] ?? `cannot listen on ${where}: ${error.message}`,
    {
      cause: error,
    },
  )
}

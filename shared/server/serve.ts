import { messageOf } from '../schema/errors.ts'
import { pathOf } from './app.ts'
import { withDocs } from './docs.ts'
import type { Serve } from './gate.ts'
import type { ConnectionLimits } from './http-server.ts'
import { listenOn } from './listen.ts'
import type { Loci } from './loci.ts'
import type { TlsFiles } from './tls.ts'
import { type SocketLimits, webSockets } from './ws/sockets.ts'

export interface ServeOptions {
  host: string
  port: number
  /** What every request must carry as a bearer token; null (the default) lets everybody in who reaches loopback. */
  key?: string | null
  /** Web page origins that may use the API; `'*'` for any. */
  cors?: '*' | readonly string[] | null
  /** Serve `/docs` and `/openapi.json`. */
  docs?: boolean
  /** How long turns that run may go on when the server closes, in milliseconds; 0 by default. */
  grace_ms?: number
  /** Speak HTTPS with these files, whose renewal is noticed; by default what config.json says, null for HTTP. */
  tls?: TlsFiles | null
  /** Where they differ from what config.json says. */
  limits?: Partial<ConnectionLimits>
  /** What WebSockets may cost, where it is not the usual. */
  sockets?: Partial<SocketLimits>
  /** How often it is looked whether who reads a stream is still let in, in milliseconds; 30,000 by default. */
  recheck_ms?: number
  /** Answers what is asked of `/mcp`; closed with the server. */
  mcp?: Endpoint
}

/** A part of a server that is none of the API's routes. */
export interface Endpoint {
  /** Never rejects. */
  fetch: Serve
  /** Ends its streams. */
  close(): Promise<void>
}

/**
 * Serves Loci on a socket. Closing lets turns end within their grace, then cancels them; close Loci afterwards. Throws
 * `invalid_argument` for an address that cannot be had, or that others can reach when there is no key.
 */
export async function listen(
  loci: Loci,
  options: ServeOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const { allowed_hosts, log, seen } = loci
  const { host, port, key = null, cors = loci.cors, tls = loci.tls, grace_ms = 0 } = options
  loci.reachableAt(host)
  log?.redactor.know([key])
  const api: Serve = (request, access) => loci.fetch(request, access)
  const routed = loci.forUsers(options.mcp ? withMcp(options.mcp, api) : api)
  const listening = await listenOn(options.docs ? withDocs(routed) : routed, {
    host,
    port,
    allowed_hosts,
    key,
    holder: (text) => loci.holder(text),
    pages: (origin) => loci.hasPagesOf(origin),
    cors,
    recheck_ms: options.recheck_ms,
    onFailure: loci.onFailure,
    tls,
    onCertificate: (failure) => {
      const text =
        failure === null ? 'renewed; new connections use it' : `the old one stays: ${messageOf(failure)}`
      if (log) log.warn('the certificate', text)
      else if (failure !== null) loci.onFailure('reading the certificate', failure)
    },
    limits: { ...loci.limits, ...options.limits },
    upgrades: webSockets({ limits: options.sockets, onFailure: loci.onFailure, onCount: seen.socket }),
    ...(key === null ? { refusal: loci.refusal } : {}),
    around: seen.requests,
  })
  return {
    url: listening.url,
    async close() {
      loci.endStreams()
      await listening.close(Promise.all([options.mcp?.close(), loci.drain(grace_ms)]), grace_ms)
    },
  }
}

/** Serves MCP alone on a socket, as `listen` does. Closing closes `mcp` too. */
export async function listenMcp(
  mcp: Endpoint,
  options: {
    host: string
    port: number
    key: string | null
    allowed_hosts: readonly string[]
    refusal?: Loci['refusal']
  },
): Promise<{ url: string; close(): Promise<void> }> {
  const elsewhere: Serve = () =>
    Promise.resolve(Response.json({ detail: 'This is an MCP server; it answers on /mcp.' }, { status: 404 }))
  const { refusal, ...address } = options
  const listening = await listenOn(withMcp(mcp, elsewhere), {
    ...address,
    cors: null,
    ...(refusal && options.key === null ? { refusal } : {}),
  })
  return {
    url: listening.url,
    close: () => listening.close(mcp.close()),
  }
}

/** `/mcp` beside everything else. */
function withMcp(mcp: Endpoint, others: Serve): Serve {
  return (request, access) => {
    if (pathOf(request) !== '/mcp') return others(request, access)
    // Its tools reach every agent of the organisation.
    return access.scope ? Promise.resolve(notForTokens()) : mcp.fetch(request, access)
  }
}

function notForTokens(): Response {
  return Response.json({ detail: 'MCP is not for access tokens.' }, { status: 403 })
}

import { createHash, timingSafeEqual } from 'node:crypto'
import { AppError } from '../schema/errors.ts'
import { type Access, isToken, KEY_HEADERS, keysOf, OWNER, type TokenScope, userKeyOf } from './access.ts'
import { errorResponse } from './errors.ts'
import { isStream, whileLetIn } from './recheck.ts'
import { requestId } from './request-id.ts'

type Fetch = (request: Request) => Promise<Response>
/** Answers a request for whom it acts. */
export type Serve = (request: Request, access: Access) => Promise<Response>

export interface GateOptions {
  /** Hosts besides loopback that requests may be addressed to, `*.name` for all below a name; with a key any host may. */
  allowed_hosts: readonly string[]
  /** What every request but those for health must carry, or a user's key; null lets everybody in. */
  key: string | null
  /** Whom a user's key stands for; null: nobody, or no longer. Without it there are no users. */
  holder?: (key: string) => Promise<Access | null>
  /** Whether there are access tokens for the pages of an origin: those pages may send, and read what a token is answered. */
  pages?: (origin: string) => Promise<boolean>
  /** Web page origins that may use the API besides this server's own; `'*'` for any, null for none. */
  cors: '*' | readonly string[] | null
  /** How often it is looked whether who reads a stream is still let in, in milliseconds; 30,000 by default. */
  recheck_ms?: number | undefined
  /** Hears of what is our fault. */
  onFailure?: ((where: string, error: unknown) => void) | undefined
}

const RECHECK_MS = 30_000

const OPEN_PATHS = /^\/(?:(?:v1|latest)\/(?:health|ready|tools\/mcp\/oauth\/callback)|docs|openapi\.json)\/?$/

/**
 * What a request passes before it is answered: the Host must be ours (DNS rebinding), the Origin our own or an
 * allowed one, and the key right. Preflights of allowed origins are answered here.
 */
export function gate(serve: Serve, options: GateOptions): Fetch {
  const names = options.allowed_hosts.map(hostName)
  const hosts = new Set(names)
  const above = names.filter((name) => name.startsWith('*.')).map((name) => name.slice(1))
  const isNamed = (host: string) => hosts.has(host) || above.some((name) => host.endsWith(name))
  const isOurs = (host: string) => isLoopbackName(host) || isNamed(host)
  /** On loopback any program may serve pages, each on its port: ours are those that the asked host or a browser says are. */
  const isOurPage = (origin: string, headers: Headers) => {
    const host = hostName(originHost(origin))
    if (!isLoopbackName(host)) return isNamed(host)
    return isOfHost(origin, headers) || headers.get('sec-fetch-site') === 'same-origin'
  }
  const hasKey = options.key === null ? () => true : keyCheck(options.key)
  /** A user's key is looked at also where none is needed: who sends it wants to be that user. */
  const accessOf = async (headers: Headers): Promise<Access | null> => {
    const key = options.holder ? userKeyOf(headers) : null
    if (key !== null && key !== options.key) return (await options.holder?.(key)) ?? null
    return hasKey(headers) ? OWNER : null
  }
  /** The server's own key is the same for as long as it runs. */
  const served: Serve = async (request, access) => {
    const answer = await serve(request, access)
    if (access.key_id === null || !isStream(answer)) return answer
    const { recheck_ms: every_ms = RECHECK_MS, onFailure = () => undefined } = options
    // The request is not kept for as long as its answer takes.
    const headers = new Headers(request.headers)
    return whileLetIn(answer, {
      isLetIn: async () => (await accessOf(headers)) !== null,
      every_ms,
      onFailure,
    })
  }
  const hasPages = async (origin: string) => (await options.pages?.(origin)) ?? false
  const mayRead = (origin: string) => options.cors === '*' || (options.cors?.includes(origin) ?? false)
  return async (request) => {
    const { headers, method } = request
    const host = hostName(headers.get('host') ?? '')
    // Who has the key was not led here by a web page.
    if (options.key === null && !isOurs(host))
      return refuse(
        request,
        `the Host header '${host}' is not one this server answers to; add it to server.allowed_hosts`,
      )
    const origin = headers.get('origin')
    const preflights = method === 'OPTIONS' && headers.has('access-control-request-method')
    const allowed = origin !== null && mayRead(origin)
    const isPage = origin !== null && !allowed && (await hasPages(origin))
    // A page that there are access tokens for is let in by one of them alone: it may do nothing that anybody here may.
    const asPage = isPage && (preflights || isToken(userKeyOf(headers) ?? ''))
    const readable = allowed || asPage
    if (isPage && !asPage && isAnonymous(headers) && !isOfHost(origin, headers) && !isOpen(request))
      return told(request, unauthorized(request), origin)
    if (origin !== null && !readable) {
      if (origin !== 'null' && !isOurPage(origin, headers))
        return refuse(
          request,
          `requests from the web page origin '${origin}' are not allowed; \`loci server --cors ORIGIN\` lets a page that you trust use it`,
        )
      if (origin === 'null' && method !== 'GET')
        return refuse(request, 'requests from a web page without an origin are not allowed')
    }
    if (readable && preflights) return preflight(request, origin)
    const access = isOpen(request) ? OWNER : await accessOf(headers)
    const from = access?.scope ? elsewhere(access.scope, headers) : null
    const answer =
      from !== null ? refuse(request, from) : access ? await served(request, access) : unauthorized(request)
    return told(request, answer, readable ? origin : null)
  }
}

/** The answer with the id of its request, and with what a page of this origin needs to read it. */
function told(request: Request, answer: Response, origin: string | null): Response {
  answer.headers.set('x-request-id', requestId(request))
  if (origin === null) return answer
  answer.headers.set('access-control-allow-origin', origin)
  answer.headers.set('access-control-expose-headers', EXPOSED)
  answer.headers.append('vary', 'Origin')
  return answer
}

/** Whether a request carries nothing that says who asks. */
function isAnonymous(headers: Headers): boolean {
  return !KEY_HEADERS.some(([name]) => headers.has(name))
}

/** Whether a page asks the host that it came from. */
function isOfHost(origin: string, headers: Headers): boolean {
  return originHost(origin) === headers.get('host')?.toLowerCase()
}

/**
 * Why an access token does not count in this request: browsers say of which page it is, but for what a page asks of the
 * host that it came from itself. Null when it counts.
 */
function elsewhere({ origin }: TokenScope, headers: Headers): string | null {
  const { protocol, host } = new URL(origin)
  const from = headers.get('origin')
  const asked = URL.parse(`${protocol}//${headers.get('host') ?? ''}`)?.host ?? ''
  if (from === null ? asked === host : from === origin) return null
  return `this access token is for pages of ${origin}, and this request comes from ${from ?? 'no page of it'}`
}

/** Whether a request is answered without the key: what health includes beyond that is for who has it. */
function isOpen(request: Request): boolean {
  return OPEN_PATHS.test(pathOf(request)) && !URL.parse(request.url)?.searchParams.has('include')
}

/** What the clients read of an answer. */
const EXPOSED =
  'etag, age, x-loci-cache, x-request-id, x-should-retry, retry-after, mcp-session-id, ' +
  'ratelimit-limit, ratelimit-remaining, ratelimit-reset, ratelimit-policy'

function preflight(request: Request, origin: string): Response {
  const { headers } = request
  const answer = new Response(null, {
    status: 204,
    headers: {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
      // The clients send a dozen of their own; none of them means anything to a page that may send at all.
      'access-control-allow-headers':
        headers.get('access-control-request-headers') ?? 'authorization, content-type',
      'access-control-max-age': '600',
      vary: 'Origin, Access-Control-Request-Headers',
    },
  })
  if (headers.get('access-control-request-private-network') === 'true')
    answer.headers.set('access-control-allow-private-network', 'true')
  return answer
}

/** Whether a request carries the key in one of `KEY_HEADERS`; takes the same time for every wrong key. */
function keyCheck(key: string): (headers: Headers) => boolean {
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
  const wanted = digest(Buffer.from(key))
  // Headers are bytes: curl sends UTF-8, browsers Latin-1.
  const fits = (given: string) =>
    [Buffer.from(given, 'latin1'), Buffer.from(given)]
      .map((bytes) => timingSafeEqual(digest(bytes), wanted))
      .includes(true)
  // All are compared, so that time does not tell which was there.
  return (headers) => keysOf(headers).map(fits).includes(true)
}

function unauthorized(request: Request): Response {
  return new Response(JSON.stringify({ detail: 'Unauthorized' }), {
    status: 401,
    headers: {
      'content-type': 'application/json',
      'www-authenticate': 'Bearer',
      'x-request-id': requestId(request),
    },
  })
}

function refuse(request: Request, message: string): Response {
  const error = new AppError('host_refused', message)
  return errorResponse(error, { request_id: requestId(request), onFailure: () => undefined })
}

function pathOf(request: Request): string {
  const { url } = request
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const query = url.indexOf('?', start)
  return start < 0 ? '/' : url.slice(start, query < 0 ? undefined : query)
}

/** `example.com:8283` → `example.com`, lower case; IPv6 keeps its brackets. */
function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '')
}

function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

function originHost(origin: string): string {
  return URL.parse(origin)?.host ?? origin
}

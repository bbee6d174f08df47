import { AppError } from '../schema/errors.ts'
import { errorResponse } from './errors.ts'

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Refuses requests that a web page elsewhere could have caused: a Host that is not ours (DNS rebinding) and an
 * Origin that is neither loopback nor allowed. `allowed` names further hosts, for proxies and tunnels.
 */
export function guard(
  fetch: (request: Request) => Promise<Response>,
  allowed: readonly string[],
): (request: Request) => Promise<Response> {
  const hosts = new Set(allowed.map((host) => host.toLowerCase()))
  const isOurs = (host: string) => LOOPBACK.has(host) || hosts.has(host)
  return async (request) => {
    const host = hostName(request.headers.get('host') ?? '')
    if (!isOurs(host))
      return refuse(
        `the Host header '${host}' is not one this server answers to; add it to server.allowed_hosts`,
      )
    const origin = request.headers.get('origin')
    if (origin !== null && origin !== 'null' && !isOurs(hostName(originHost(origin))))
      return refuse(`requests from the web page origin '${origin}' are not allowed`)
    if (origin === 'null' && request.method !== 'GET')
      return refuse('requests from a web page without an origin are not allowed')
    return fetch(request)
  }
}

function refuse(message: string): Response {
  return errorResponse(new AppError('host_refused', message), () => undefined)
}

/** `example.com:8283` → `example.com`, lower case; IPv6 keeps its brackets. */
function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '')
}

function originHost(origin: string): string {
  try {
    return new URL(origin).host
  } catch {
    return origin
  }
}

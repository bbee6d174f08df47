import { createAdaptorServer } from '@hono/node-server'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AppError } from '../schema/errors.ts'
import { guard } from './guard.ts'

/** How long requests that still run may take when the server closes, in milliseconds. */
const CLOSE_GRACE_MS = 2000

export interface ListenOptions {
  host: string
  /** 0 picks a free one. */
  port: number
  /** Hosts besides loopback and `host` whose requests are answered. */
  allowed_hosts?: readonly string[]
}

export interface Listening {
  /** For example `http://127.0.0.1:8283`. */
  url: string
  /** Stops taking requests, ends open streams and resolves when every connection is gone. */
  close(): Promise<void>
}

/** Serves an app on a socket. Throws `invalid_argument` for a taken or forbidden port, with the way out. */
export async function listenOn(
  fetch: (request: Request) => Promise<Response>,
  options: ListenOptions,
): Promise<Listening> {
  const { host, port } = options
  const server = createAdaptorServer({
    fetch: guard(fetch, [host, ...(options.allowed_hosts ?? [])]),
    overrideGlobalObjects: false,
  }) as Server
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(describe(error, host, port)))
    server.listen(port, host, resolve)
  })
  const address = server.address() as AddressInfo
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return {
    url: `http://${name}:${address.port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      // A connection whose answer has just ended is idle only a moment later.
      const idle = setInterval(() => server.closeIdleConnections(), 20)
      const last = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
      await closed
      clearInterval(idle)
      clearTimeout(last)
    },
  }
}

function describe(error: NodeJS.ErrnoException, host: string, port: number): AppError {
  const where = `${host}:${port}`
  const text: Record<string, string> = {
    EADDRINUSE: `port ${port} on ${host} is taken by another program; stop it, or choose another with --port (0 picks a free one)`,
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

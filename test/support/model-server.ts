/** A local HTTP server with fixed JSON answers, for what providers serve beside chat completions. */
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An answer: JSON with status 200, `{ status, body }`, a function of the request, or 'hang' for none at all. */
export type Route =
  | 'hang'
  | { status: number; body?: unknown }
  | { json: unknown }
  | ((body: Record<string, unknown>, request: IncomingMessage) => Route)

export interface ModelServer {
  /** Without a path. */
  url: string
  /** `GET /v1/models` and the like, in order of arrival. */
  hits: string[]
  close(): Promise<void>
}

/** Serves these routes (`'GET /v1/models'`), 404 for others; `port` 0 picks a free one. The caller closes it. */
export async function startModelServer(routes: Record<string, Route>): Promise<ModelServer> {
  const hits: string[] = []
  const server = createServer((incoming, response) => {
    const pieces: Buffer[] = []
    incoming.on('data', (piece: Buffer) => pieces.push(piece))
    incoming.on('end', () => {
      const key = `${incoming.method} ${incoming.url}`
      hits.push(key)
      let route: Route = routes[key] ?? { status: 404, body: 'not found' }
      const text = Buffer.concat(pieces).toString('utf8')
      while (typeof route === 'function') {
        route = route(text === '' ? {} : (JSON.parse(text) as Record<string, unknown>), incoming)
      }
      if (route === 'hang') return
      const body = 'json' in route ? route.json : (route.body ?? '')
      response.writeHead('status' in route ? route.status : 200, { 'content-type': 'application/json' })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hits,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      }),
  }
}

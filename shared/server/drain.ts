import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { errorResponse, shuttingDown } from './errors.ts'
import type { Serve } from './gate.ts'
import { requestId } from './request-id.ts'

/** What is answered to the end: whether the process lives, and that it takes no more. */
const MONITORED = /^\/(?:v1|latest)\/(?:health|ready)\/?$/

/** The end of a server: what came in before it is answered, what comes afterwards is sent away. */
export interface Drain {
  /** The same answers until the end has begun, then 503 to everything but monitors. */
  admit(serve: Serve): Serve
  /** Counts the answers of a server; to be called before it listens. */
  watch(server: Server): void
  /**
   * Begins the end. Resolves when every answer under way has ended, and otherwise `grace_ms` from now or `cut_ms` after
   * `drained`, whichever is later. Never rejects.
   */
  end(drained: Promise<unknown>, limits: { grace_ms: number; cut_ms: number }): Promise<void>
}

/** Of a server that does not end yet. */
export function createDrain(): Drain {
  const answering = new Set<ServerResponse>()
  let ending = false
  let onNone: () => void = () => undefined
  return {
    admit: (serve) => (request, access) =>
      ending && !MONITORED.test(new URL(request.url).pathname)
        ? Promise.resolve(sentAway(request))
        : serve(request, access),
    watch(server) {
      server.on('request', (_request: IncomingMessage, response: ServerResponse) => {
        if (ending) return
        answering.add(response)
        response.once('close', () => {
          answering.delete(response)
          if (answering.size === 0) onNone()
        })
      })
    },
    async end(drained, { grace_ms, cut_ms }) {
      ending = true
      const none = new Promise<void>((resolve) => {
        onNone = resolve
        if (answering.size === 0) resolve()
      })
      const timers: NodeJS.Timeout[] = []
      const after = (ms: number) => new Promise<void>((resolve) => void timers.push(setTimeout(resolve, ms)))
      const settled = drained.then(
        () => undefined,
        () => undefined,
      )
      await Promise.race([
        Promise.all([none, settled]),
        Promise.all([after(grace_ms), settled.then(() => after(cut_ms))]),
      ])
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

function sentAway(request: Request): Response {
  const error = shuttingDown(
    '; send the request again in a moment, it may be there again or another one may answer',
  )
  return errorResponse(error, { request_id: requestId(request), onFailure: () => undefined })
}

import { type McpServerFactory, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'
import { protocolError } from './protocol-error.ts'

interface Session {
  transport: WebStandardStreamableHTTPServerTransport
  server: Awaited<ReturnType<McpServerFactory>>
  /** When it was last used, in milliseconds of the monotonic clock. */
  used: number
  /** Requests and streams that are open. */
  open: number
}

/** Sessions at once; at more, those that were not used for the longest are ended. */
const MOST = 1000
/** A session that nobody uses is ended after this long, in milliseconds; its host begins another (it gets 404). */
const IDLE_MS = 60 * 60_000

/** Sessions of the protocol up to 2025-11-25: one server each, found by the header Mcp-Session-Id. */
export function createSessions(
  factory: McpServerFactory,
  options: { largest_body: number; onerror: (error: Error) => void },
): { fetch: (request: Request) => Promise<Response>; close: () => Promise<void> } {
  const sessions = new Map<string, Session>()

  async function end(id: string, session: Session): Promise<void> {
    sessions.delete(id)
    await session.server.close()
  }

  function makeRoom(): void {
    const now = performance.now()
    const idle = [...sessions].filter(([, { open }]) => open === 0).sort(([, a], [, b]) => a.used - b.used)
    for (const [id, session] of idle) {
      if (sessions.size < MOST && now - session.used < IDLE_MS) break
      end(id, session).catch(options.onerror)
    }
  }

  async function begin(): Promise<Session> {
    makeRoom()
    const server = await factory({ era: 'legacy' })
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      maxRequestBodySize: options.largest_body,
      onsessioninitialized: (id) => void sessions.set(id, session),
      onsessionclosed: (id) => void sessions.delete(id),
    })
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's objects are no event targets
    transport.onerror = options.onerror
    const session: Session = { transport, server, used: performance.now(), open: 0 }
    await server.connect(transport)
    return session
  }

  return {
    async fetch(request) {
      const id = request.headers.get('mcp-session-id')
      const known = id === null ? undefined : sessions.get(id)
      if (id !== null && !known)
        return protocolError(404, -32_001, 'There is no such session (any more): initialize a new one.')
      const session = known ?? (await begin())
      session.used = performance.now()
      session.open++
      const done = () => {
        session.open--
        session.used = performance.now()
      }
      try {
        const cancelled = known ? await cancelledBy(request) : null
        const answer = await session.transport.handleRequest(request)
        // A call that is cancelled gets no answer: nothing comes on its stream any more.
        if (cancelled !== null) session.transport.closeSSEStream(cancelled)
        // Not initialized after all: nobody will find it again.
        const lost = !known && session.transport.sessionId === undefined
        if (lost) await session.server.close()
        return whenRead(answer, done)
      } catch (error) {
        done()
        throw error
      }
    },
    async close() {
      await Promise.all([...sessions].map(([id, session]) => end(id, session)))
    },
  }
}

/** The id of the call that a message cancels, if it is such a message. They are small. */
async function cancelledBy(request: Request): Promise<string | number | null> {
  if (request.method !== 'POST' || !(Number(request.headers.get('content-length')) <= 10_000)) return null
  try {
    const { method, params } = (await request.clone().json()) as {
      method?: unknown
      params?: { requestId?: unknown }
    }
    const id = method === 'notifications/cancelled' ? params?.requestId : null
    return typeof id === 'string' || typeof id === 'number' ? id : null
  } catch {
    // What is no JSON is refused by the transport.
    return null
  }
}

/** The same answer; `done` is called once when its body was read or left. */
function whenRead(answer: Response, done: () => void): Response {
  if (!answer.body) {
    done()
    return answer
  }
  const reader = answer.body.getReader()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done: ended, value } = await reader.read()
        if (!ended) return controller.enqueue(value)
        controller.close()
      } catch (error) {
        controller.error(error)
      }
      done()
    },
    async cancel(reason) {
      done()
      await reader.cancel(reason)
    },
  })
  const { status, statusText, headers } = answer
  return new Response(body, { status, statusText, headers })
}

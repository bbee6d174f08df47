import {
  createMcpHandler,
  InMemoryServerEventBus,
  isLegacyRequest,
  type McpServerFactory,
  type ServerEvent,
  type ServerEventBus,
} from '@modelcontextprotocol/server'
import type { LociClient } from '../shared/client/http.ts'
import { messageOf } from '../shared/schema/errors.ts'
import { createMcpProcess } from './process.ts'
import type { Change, ResourceUpdates } from './resources/updates.ts'
import { protocolError } from './protocol-error.ts'
import { createServerFactory } from './server.ts'
import { createSessions } from './sessions.ts'
import type { McpSettings } from './settings.ts'

export interface McpHttpOptions {
  settings: McpSettings
  /** Opens the client at the first need. */
  client: () => Promise<LociClient>
  log: (text: string) => void
}

/** MCP over Streamable HTTP, as a function from request to answer. Who serves it checks Host, Origin and key before. */
export interface McpHttp {
  /** Never rejects. */
  fetch: (request: Request) => Promise<Response>
  /** Ends sessions and open streams; turns go on. Then closes the client, if it was opened. */
  close: () => Promise<void>
}

/** A larger body is no call of a tool. In bytes. */
const LARGEST_BODY = 4 * 1024 * 1024

/** Serves both protocol eras on one endpoint: sessions up to 2025-11-25, single requests from 2026-07-28 on. */
export function createMcpHttp({ settings, client, log }: McpHttpOptions): McpHttp {
  const { deps, leave, close } = createMcpProcess(client, log)
  const create = createServerFactory(deps, settings)
  const { fetch, end } = createTransport(create, { log, updates: deps.updates })
  return {
    fetch,
    async close() {
      leave()
      await end()
      await close()
    },
  }
}

/**
 * The transport alone, for servers of whichever factory. With `updates` its subscriptions hear of changes. `end` closes
 * sessions and streams.
 */
export function createTransport(
  factory: McpServerFactory,
  { log, updates }: { log: (text: string) => void; updates: ResourceUpdates | null },
): { fetch: (request: Request) => Promise<Response>; end: () => Promise<void> } {
  const onerror = (error: Error) => log(messageOf(error))
  const modern = createMcpHandler(factory, {
    legacy: 'reject',
    maxRequestBodySize: LARGEST_BODY,
    onerror,
    ...(updates ? { bus: busOf(updates) } : {}),
  })
  const sessions = createSessions(factory, { largest_body: LARGEST_BODY, onerror })
  let ended = false
  return {
    async fetch(request) {
      if (ended) return protocolError(503, -32_000, 'The server is shutting down.')
      try {
        if (Number(request.headers.get('content-length')) > LARGEST_BODY) return await tooLarge(request)
        const legacy = await isLegacyRequest(request, undefined, { maxRequestBodySize: LARGEST_BODY })
        return legacy ? await sessions.fetch(request) : await modern.fetch(request)
      } catch (error) {
        log(messageOf(error))
        return protocolError(500, -32_603, 'Internal error; the log of the server has more.')
      }
    },
    async end() {
      ended = true
      await Promise.all([sessions.close(), modern.close()])
    },
  }
}

/** Read to its end, within reason: who is still writing would not hear why it was refused. */
async function tooLarge(request: Request): Promise<Response> {
  let left = 16 * LARGEST_BODY
  for await (const piece of request.body ?? []) if ((left -= piece.length) < 0) break
  return protocolError(413, -32_600, `The message is larger than ${LARGEST_BODY} bytes.`)
}

/** Changes are followed as long as a subscription is open. */
function busOf(updates: ResourceUpdates): ServerEventBus {
  const bus = new InMemoryServerEventBus()
  let leave: (() => void) | null = null
  return {
    publish: (event) => bus.publish(event),
    subscribe(listener) {
      const unsubscribe = bus.subscribe(listener)
      leave ??= updates.listen((change) => eventsOf(change).forEach((event) => bus.publish(event)))
      return () => {
        unsubscribe()
        if (bus.listenerCount > 0) return
        leave?.()
        leave = null
      }
    },
  }
}

function eventsOf(change: Change): ServerEvent[] {
  if (change.kind === 'listed') return [{ kind: 'resources_list_changed' }]
  return change.uris.map((uri) => ({ kind: 'resource_updated', uri }))
}

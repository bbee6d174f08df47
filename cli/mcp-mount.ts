import { clientOf } from '../shared/client/in-process.ts'
import type { McpHttp } from '../mcp-server/http.ts'
import { logLine } from '../mcp-server/process.ts'
import { DEFAULT_SETTINGS } from '../mcp-server/settings.ts'

/** Whom a request acts for, as the server says it. */
interface Caller {
  actor: { user_id: string }
  role: string
  key_id: string | null
}

/** MCP over an open Loci, for its server to mount. What it needs is loaded when it is first asked for anything. */
export function mountMcp<Access extends Caller>(loci: {
  data: string
  fetch(request: Request, access: Access): Promise<Response>
}): { fetch(request: Request, access: Access): Promise<Response>; close(): Promise<void> } {
  /** Sessions are nobody else's, and what a user may do does not change within one. */
  const endpoints = new Map<string, Promise<McpHttp>>()
  return {
    async fetch(request, access) {
      const of = JSON.stringify([access.actor.user_id, access.role, access.key_id])
      let endpoint = endpoints.get(of)
      if (!endpoint) {
        endpoint = open({ data: loci.data, fetch: (asked) => loci.fetch(asked, access) })
        endpoints.set(of, endpoint)
      }
      return (await endpoint).fetch(request)
    },
    async close() {
      await Promise.all([...endpoints.values()].map(async (endpoint) => (await endpoint).close()))
    },
  }
}

async function open(loci: Parameters<typeof clientOf>[0]): Promise<McpHttp> {
  const { createMcpHttp } = await import('../mcp-server/http.ts')
  return createMcpHttp({
    settings: DEFAULT_SETTINGS,
    client: () => Promise.resolve(clientOf(loci)),
    log: logLine,
  })
}

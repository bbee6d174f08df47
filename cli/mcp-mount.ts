import { clientOf } from '../shared/client/in-process.ts'
import type { McpHttp } from '../mcp-server/http.ts'
import { logLine } from '../mcp-server/process.ts'
import { DEFAULT_SETTINGS } from '../mcp-server/settings.ts'

/** MCP over an open Loci, for its server to mount. What it needs is loaded when it is first asked for anything. */
export function mountMcp(loci: Parameters<typeof clientOf>[0]): McpHttp {
  let loading: Promise<McpHttp> | null = null
  const load = async () => {
    const { createMcpHttp } = await import('../mcp-server/http.ts')
    const client = () => Promise.resolve(clientOf(loci))
    return createMcpHttp({ settings: DEFAULT_SETTINGS, client, log: logLine })
  }
  return {
    fetch: async (request) => (await (loading ??= load())).fetch(request),
    close: async () => (await loading)?.close(),
  }
}

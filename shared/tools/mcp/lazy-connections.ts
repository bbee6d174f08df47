import type { McpConnections, McpServerState } from '../../core/ports/mcp-servers.ts'
import type { ConnectionsOptions } from './connections.ts'
import { refusalOf } from './stdio-refusal.ts'

/**
 * Connections to MCP servers, whose client is loaded when one is first needed: most starts need none. `preload` loads it
 * now: an update may replace the files that a long-running process would load later.
 */
export function lazyMcpConnections(
  options: ConnectionsOptions,
): McpConnections & { preload(): Promise<void> } {
  const since = new Date().toISOString()
  const idle: McpServerState = { state: 'idle', error: null, since }
  let loading: Promise<McpConnections> | null = null
  let loaded: McpConnections | null = null
  let closed = false
  const load = () => {
    loading ??= import('./connections.ts').then(({ createMcpConnections }) => {
      loaded = createMcpConnections(options)
      return loaded
    })
    return loading
  }
  return {
    async preload() {
      await load()
    },
    stdioRefused: (actor) => refusalOf(options, actor),
    listTools: async (...args) => (await load()).listTools(...args),
    callTool: async (...args) => (await load()).callTool(...args),
    async *authorize(...args) {
      yield* (await load()).authorize(...args)
    },
    callback: async (answer) => (await load()).callback(answer),
    state: (server_id) => loaded?.state(server_id) ?? idle,
    async forget(server_id) {
      if (loading) await (await loading).forget(server_id)
    },
    async close() {
      if (closed) return
      closed = true
      if (loading) await (await loading).close()
    },
  }
}

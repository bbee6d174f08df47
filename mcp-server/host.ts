import type { McpServer, ServerContext } from '@modelcontextprotocol/server'

/** The extension by which a host says that it shows MCP Apps (SEP-1865). */
const APPS = 'io.modelcontextprotocol/ui'
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities'

export interface HostCapabilities {
  /** It can ask its user with a form; one that names no mode can (2025-06-18). */
  asks_forms: boolean
  shows_apps: boolean
}

/** What the host of this request can do: by its own envelope (2026-07-28), else by its `initialize`. */
export function clientCapabilities(server: McpServer, context: ServerContext): HostCapabilities {
  const envelope = context.mcpReq.envelope as Record<string, unknown> | undefined
  const own = envelope?.[CAPABILITIES]
  const declared = (own ?? server.server.getClientCapabilities() ?? {}) as {
    elicitation?: { form?: unknown; url?: unknown }
    extensions?: Record<string, unknown>
  }
  const { elicitation, extensions } = declared
  return {
    asks_forms:
      elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined),
    shows_apps: extensions?.[APPS] !== undefined,
  }
}

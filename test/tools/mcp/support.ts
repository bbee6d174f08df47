import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Actor } from '../../../shared/core/ports/actor.ts'
import type { McpConnections, McpServer, McpToolReturn } from '../../../shared/core/ports/mcp-servers.ts'
import { DEFAULT_ORGANIZATION_ID, newId } from '../../../shared/schema/ids.ts'
import type { McpServerConfig } from '../../../shared/schema/mcp-server.ts'
import { createMcpConnections, type ConnectionsOptions } from '../../../shared/tools/mcp/connections.ts'

export const PROGRAM = join(import.meta.dirname, '..', 'fixtures', 'mcp-program.ts')

export const actor: Actor = { user_id: 'user', organization_id: DEFAULT_ORGANIZATION_ID }

/** A generous end for everything that a test waits for. */
export const soon = () => AbortSignal.timeout(30_000)

export function aServer(config: McpServerConfig, server_name = 'tried'): McpServer {
  const now = new Date().toISOString()
  return {
    id: newId('mcp_server'),
    organization_id: actor.organization_id,
    server_name,
    config,
    created_at: now,
    updated_at: now,
  }
}

/** The hand-written program, misbehaving as `mode` says. */
export function aProgram(
  mode: string,
  { env = null, args = [] }: { env?: Record<string, string> | null; args?: string[] } = {},
): McpServer {
  return aServer(
    { mcp_server_type: 'stdio', command: process.execPath, args: [PROGRAM, mode, ...args], env },
    mode,
  )
}

/** Connections with nobody logged in; the caller closes them. */
export function connections(options: Partial<ConnectionsOptions> = {}): McpConnections {
  const kept = new Map<string, string | null>()
  return createMcpConnections({
    credentials: (_, server_id) => ({
      load: () => Promise.resolve(kept.get(server_id) ?? null),
      save: (text) => Promise.resolve(void kept.set(server_id, text)),
    }),
    onToolsChanged: () => undefined,
    ...options,
  })
}

/** Calls a tool of a server without secrets. */
export function call(
  mcp: McpConnections,
  server: McpServer,
  name: string,
  args: Record<string, unknown> = {},
  signal: AbortSignal = soon(),
) {
  return mcp.callTool(actor, server, { name, arguments: args, secrets: {} }, { signal })
}

/** What was returned, as text alone. */
export function textOf(func_response: McpToolReturn['func_response']): string {
  assert.ok(typeof func_response === 'string', 'there are parts beside text')
  return func_response
}

/** Whether a process is there. */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

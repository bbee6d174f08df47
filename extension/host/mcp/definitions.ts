import { join } from 'node:path'

/** How an MCP host reaches Loci: a program that it starts, or an address. */
export type McpDefinition =
  | { kind: 'stdio'; command: string; args: string[]; env: Record<string, string> }
  | { kind: 'http'; url: string; headers: Record<string, string> }

export interface McpSource {
  /** The folder of the extension. */
  extension: string
  /** The Node that runs this process; in VS Code Electron, which is told to be one. */
  node: string
  dataDirectory: string
  /** The server of the settings; null when this window starts its own. */
  url: string | null
  token: string | undefined
}

/**
 * Loci's MCP server. Without a server in the settings it is an instance of its own over the same data: it needs no server
 * of the window, and ends with who started it.
 */
export function mcpDefinition({ extension, node, dataDirectory, url, token }: McpSource): McpDefinition {
  if (url !== null) {
    const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` }
    return { kind: 'http', url: `${url.replace(/\/+$/, '')}/mcp`, headers }
  }
  const args = [join(extension, 'dist', 'loci.js'), 'mcp', '--data', dataDirectory]
  return { kind: 'stdio', command: node, args, env: { ELECTRON_RUN_AS_NODE: '1' } }
}

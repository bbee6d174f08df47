import type { ContentPart } from '../../schema/message.ts'
import type { Actor } from './actor.ts'

/** How an MCP server is reached (V1's `config`); tokens and headers may name secrets as `{{ NAME | default }}`. */
export type McpServerConfig =
  | { mcp_server_type: 'stdio'; command: string; args: string[]; env: Record<string, string> | null }
  | {
      mcp_server_type: 'sse' | 'streamable_http'
      server_url: string
      auth_header: string | null
      auth_token: string | null
      custom_headers: Record<string, string> | null
    }

/** An MCP server whose tools agents may use. */
export interface McpServer {
  id: string
  organization_id: string
  server_name: string
  config: McpServerConfig
  /** ISO 8601, UTC. */
  created_at: string
  updated_at: string
}

/** A tool as its server lists it. */
export interface McpToolListing {
  name: string
  title: string | null
  description: string | null
  input_schema: Record<string, unknown>
}

/** How the connection of this process to a server does. */
export interface McpServerState {
  state: 'idle' | 'connecting' | 'connected' | 'authorization_required' | 'failed'
  /** Of the last failure: what happened, to what, what to do next; null while all is well. */
  error: string | null
  /** ISO 8601, UTC; when the state last changed. */
  since: string
}

export interface McpToolReturn {
  status: 'success' | 'error'
  func_response: string | ContentPart[]
}

/** The client side of MCP: one connection per server and process, made when it is first needed. */
export interface McpConnections {
  /** Throws `mcp_error`, with the reason, when the server cannot be reached or does not answer in time. */
  listTools(actor: Actor, server: McpServer, options: { signal: AbortSignal }): Promise<McpToolListing[]>
  /** A failing tool is a return with status `error`; throws `mcp_error` when the server fails. */
  callTool(
    actor: Actor,
    server: McpServer,
    call: { name: string; arguments: Record<string, unknown>; secrets: Readonly<Record<string, string>> },
    options: { signal: AbortSignal },
  ): Promise<McpToolReturn>
  state(server_id: string): McpServerState
  /** Ends the connection of a server that was changed or deleted. */
  forget(server_id: string): Promise<void>
  close(): Promise<void>
}

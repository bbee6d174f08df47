import type { ContentPart } from '../../schema/message.ts'
import type { McpServerConfig } from '../../schema/mcp-server.ts'
import type { Actor } from './actor.ts'

/** An MCP server whose tools agents may use. */
export interface McpServer {
  id: string
  organization_id: string
  server_name: string
  /** With everything that is secret in it. */
  config: McpServerConfig
  /** ISO 8601, UTC. */
  created_at: string
  updated_at: string
}

/** A tool as its server lists it: text without control characters, its size bounded, its schemas as they came. */
export interface McpToolListing {
  name: string
  title: string | null
  description: string | null
  input_schema: unknown
  output_schema: unknown
  annotations: Record<string, unknown> | null
}

/** What a server offers now. */
export interface McpListing {
  tools: McpToolListing[]
  /** What was left out and why, each a sentence. */
  notes: string[]
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

/** Values of the secrets that a configuration may name as `{{ NAME }}`. */
export type McpSecrets = Readonly<Record<string, string>>

/** A step on the way to an authorized connection. */
export type McpAuthorization =
  | { step: 'authorization_url'; url: string; session_id: string }
  | { step: 'connected'; listing: McpListing }

/** What an authorization server sent back through the user's browser. */
export interface McpCallback {
  state: string
  /** The whole query of the callback's address. */
  query: URLSearchParams
}

/**
 * The client side of MCP: one connection per server, set of secrets and process, made when it is first needed. Everything
 * that a server sends is bounded; one that hangs, floods or dies is an error of its own calls alone. Errors are
 * `mcp_error` and `mcp_timeout` with the reason.
 */
export interface McpConnections {
  /** Why servers that are processes of this machine cannot be used now; null: they can. */
  stdioRefused(actor: Actor): string | null
  /** Asks the server now, also when it has just failed. */
  listTools(
    actor: Actor,
    server: McpServer,
    options: { secrets?: McpSecrets; signal: AbortSignal },
  ): Promise<McpListing>
  /** A failing tool is a return with status `error`; throws when the server fails. */
  callTool(
    actor: Actor,
    server: McpServer,
    call: { name: string; arguments: Record<string, unknown>; secrets: McpSecrets },
    options: { signal: AbortSignal },
  ): Promise<McpToolReturn>
  /**
   * Connects, and where the server wants its user's consent (OAuth) gives the address to open, waits until `callback`
   * has heard from it, and connects then. Ends with `connected`.
   */
  authorize(
    actor: Actor,
    server: McpServer,
    options: { redirect_url: string; signal: AbortSignal },
  ): AsyncGenerator<McpAuthorization, void>
  /** Hands the answer of an authorization server to the flow that waits for it. Throws when there is none, or it failed. */
  callback(answer: McpCallback): Promise<void>
  state(server_id: string): McpServerState
  /** Ends the connections of a server that was changed or deleted. */
  forget(server_id: string): Promise<void>
  close(): Promise<void>
}

/** What a server of MCP may take of this process. */
export interface McpLimits {
  /** Milliseconds for connecting, the start of a program included. */
  connect_ms: number
  /** Milliseconds for a whole list of tools. */
  list_ms: number
  /** Milliseconds without a sign of life from a call; a progress notification is one. */
  execute_ms: number
  /** Milliseconds for a call, however much progress it reports. */
  execute_total_ms: number
  /** Milliseconds after which a connection that nobody uses is closed. */
  idle_ms: number
  /** Bytes of one message. */
  message_bytes: number
  /** Messages and bytes a second that are read in the long run; what comes faster waits at the server. */
  messages_per_second: number
  bytes_per_second: number
  /** Tools of one server; the rest is left out. */
  tools: number
}

export const DEFAULT_LIMITS: McpLimits = {
  connect_ms: 30_000,
  list_ms: 30_000,
  execute_ms: 60_000,
  execute_total_ms: 10 * 60_000,
  idle_ms: 10 * 60_000,
  message_bytes: 8 * 1024 * 1024,
  messages_per_second: 2000,
  bytes_per_second: 8 * 1024 * 1024,
  tools: 1000,
}

/** Pages of a list of tools. */
export const MAX_PAGES = 100
/** Characters of a tool's description: what hosts show of one. */
export const MAX_DESCRIPTION = 4000
/** Characters of text that one return may have; the tool's own limit cuts further. */
export const MAX_RETURN_TEXT = 1_000_000
/** Parts of one return. */
export const MAX_RETURN_PARTS = 200
/** Images of one return. */
export const MAX_IMAGES = 20

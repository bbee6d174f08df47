import type { McpServerConfig } from '../../schema/mcp-server.ts'
import type { Tool } from '../../schema/tool.ts'
import type { Actor } from './actor.ts'
import type { McpServer } from './mcp-servers.ts'

export type NewMcpServer = Pick<McpServer, 'id' | 'server_name' | 'config' | 'created_at'>

/** A tool of a server as it is to be stored. */
export interface NewMcpTool {
  /** What the server calls it. */
  tool_name: string
  /** What agents may call it, the first that is free. */
  names: string[]
  /** With any name; `json_schema` has one, too. */
  tool: Tool
}

/** What a sync changed, by the names that agents see. */
export interface McpSync {
  added: string[]
  updated: string[]
  deleted: string[]
  /** Of those that could not be stored: all their names are taken. */
  refused: string[]
}

/**
 * Servers of MCP and their tools. Whatever of a configuration can hold something secret is encrypted where it is stored;
 * what cannot be read throws `secrets_unreadable`.
 */
export interface McpServerStore {
  /** Throws `conflict` when the name is taken. */
  create(actor: Actor, server: NewMcpServer): Promise<McpServer>
  get(actor: Actor, server_id: string): Promise<McpServer | null>
  named(actor: Actor, server_name: string): Promise<McpServer | null>
  /** The newest first. */
  list(actor: Actor): Promise<McpServer[]>
  /** Tools carry on with the new name. Null when there is none; throws `conflict` when the name is taken. */
  update(
    actor: Actor,
    server_id: string,
    patch: { server_name?: string; config?: McpServerConfig },
  ): Promise<McpServer | null>
  /** Its tools go, too, also from agents. False when there was none. */
  delete(actor: Actor, server_id: string): Promise<boolean>
  /** Those that are stored, by name. */
  tools(actor: Actor, server_id: string): Promise<Tool[]>
  /** The server of a tool, and what it calls the tool there; null for a tool of no server. */
  serverOf(actor: Actor, tool_id: string): Promise<{ server: McpServer; tool_name: string } | null>
  /**
   * Stores what a server offers: tools that are there keep their ids and names, new ones get the first of their names
   * that no other tool has, those that are not offered any more go with `delete_others`. A tool of no server that is
   * tagged as one of this (from an agent file) becomes its own. Many tools are stored in several short transactions.
   */
  sync(
    actor: Actor,
    server_id: string,
    tools: readonly NewMcpTool[],
    options: { delete_others: boolean },
  ): Promise<McpSync>
  /** What the user's consent has given: a text that is kept encrypted; null when there is none. */
  credentials(actor: Actor, server_id: string): Promise<string | null>
  setCredentials(actor: Actor, server_id: string, text: string | null): Promise<void>
}

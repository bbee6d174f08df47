import { newId } from '../../schema/ids.ts'
import type { McpToolHealth } from '../../schema/mcp-server.ts'
import { DEFAULT_RETURN_CHAR_LIMIT, type Tool } from '../../schema/tool.ts'
import type { Actor } from '../ports/actor.ts'
import type { NewMcpTool } from '../ports/mcp-server-store.ts'
import type { McpServer, McpToolListing } from '../ports/mcp-servers.ts'
import { parametersOf, schemaHealth } from './mcp-schema.ts'

/** Characters of a name that every provider takes. */
const MAX_NAME = 64

/** A tool of a server, and how well it can be used. */
export interface JudgedTool {
  listing: McpToolListing
  health: McpToolHealth
}

/** Tools with the health of their schemas. */
export function judge(tools: readonly McpToolListing[]): JudgedTool[] {
  return tools.map((listing) => ({ listing, health: schemaHealth(listing.input_schema) }))
}

/**
 * A tool of a server as it is stored (V1: type `external_mcp`, tagged `mcp:<server name>`). It keeps its own name where
 * that is free; where another tool has it, it gets the server's in front, so that neither takes the other's place.
 */
export function storedTool(actor: Actor, server: McpServer, { listing, health }: JudgedTool): NewMcpTool {
  const { name, title, description } = listing
  const [own = 'tool', ...others] = namesFor(server.server_name, name)
  const text = description ?? title ?? ''
  const tool: Tool = {
    id: newId('tool'),
    tool_type: 'external_mcp',
    name: own,
    description: text,
    source_type: null,
    source_code: null,
    json_schema: { name: own, description: text, parameters: parametersOf(listing.input_schema) },
    args_json_schema: null,
    tags: [`mcp:${server.server_name}`],
    return_char_limit: DEFAULT_RETURN_CHAR_LIMIT,
    pip_requirements: null,
    npm_requirements: null,
    default_requires_approval: null,
    enable_parallel_execution: false,
    metadata_: {
      mcp: { server_id: server.id, server_name: server.server_name, tool_name: name },
      'mcp:SCHEMA_STATUS': health.status,
      'mcp:SCHEMA_WARNINGS': health.reasons,
    },
    project_id: null,
    created_by_id: actor.user_id,
    last_updated_by_id: actor.user_id,
  }
  return { tool_name: name, names: [own, ...others], tool }
}

/** What agents may call a tool, as every provider takes it: letters, digits, `_` and `-`. */
function namesFor(server_name: string, tool_name: string): string[] {
  const own = asName(tool_name)
  const server = asName(server_name)
  const both = asName(`${server}_${tool_name}`)
  return [...new Set([own, both, ...[2, 3, 4].map((n) => asName(`${server}_${tool_name}_${n}`))])]
}

function asName(text: string): string {
  // Some want a letter first.
  const plain = text.replaceAll(/[^\w-]/g, '_').replace(/^[\d-]/, '_$&')
  // What is cut or changed must not fall together with what is not: a few characters of its hash tell them apart.
  const short = plain.length > MAX_NAME ? `${plain.slice(0, MAX_NAME - 7)}_${hash(text)}` : plain
  return short === '' ? 'tool' : short
}

/** FNV-1a, as six characters. */
function hash(text: string): string {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  return value.toString(36).padStart(7, '0').slice(-6)
}

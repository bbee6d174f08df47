/** MCP servers in agent files (V1 `MCPServerSchema`). */
import type { Raw } from '../../schema/agent-file.ts'
import { isAppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import { createMcpServer, type McpServerConfig } from '../../schema/mcp-server.ts'
import type { Tool } from '../../schema/tool.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { NewMcpServer } from '../ports/mcp-server-store.ts'
import type { McpServer } from '../ports/mcp-servers.ts'

/**
 * The servers of a file that can be added: those that are reached over HTTP, without the credentials of whoever wrote it.
 * A program is not: who imports an agent does not mean to run what its author names. `warnings` says so of each.
 */
export async function planServers(
  deps: CoreDeps,
  actor: Actor,
  listed: readonly Raw[],
  warnings: string[],
): Promise<NewMcpServer[]> {
  const planned = new Map<string, NewMcpServer>()
  for (const raw of listed) {
    const name = String(raw['server_name'])
    const present = await deps.store.mcp_servers.named(actor, name)
    const config = configIn(raw)
    if (present) {
      if (config === null || !sameServer(present.config, config))
        warnings.push(
          `MCP server '${name}': there is another one of that name here; that one stays as it is.`,
        )
    } else if (config === null) {
      warnings.push(`MCP server '${name}' was not added: the file does not say how it is reached.`)
    } else if (config.mcp_server_type === 'stdio') {
      const line = [config.command, ...config.args].join(' ').slice(0, 200)
      warnings.push(
        `MCP server '${name}' was not added: it is a program of this machine (${line}). If you trust it, add it under ` +
          'that name; the tools of the agent then are its own.',
      )
    } else if (!planned.has(name)) {
      const created_at = deps.clock.now().toISOString()
      planned.set(name, { id: newId('mcp_server'), server_name: name, config, created_at })
      warnings.push(
        `MCP server '${name}' (${config.server_url}) was added without credentials, which no file holds; set its ` +
          'auth_token where it needs one.',
      )
    }
  }
  return [...planned.values()]
}

/**
 * Stores servers of a file, and makes the tools of the file that are tagged as theirs their own. Asks nobody yet. One
 * whose name was taken meanwhile is left out.
 */
export async function addServers(
  deps: CoreDeps,
  actor: Actor,
  servers: readonly NewMcpServer[],
  tools: readonly Tool[],
): Promise<void> {
  for (const server of servers) {
    try {
      await deps.store.mcp_servers.create(actor, server)
    } catch (error) {
      if (!isAppError(error, 'conflict')) throw error
      continue
    }
    const own = tools.filter(
      ({ tool_type, tags }) => tool_type === 'external_mcp' && tags.includes(`mcp:${server.server_name}`),
    )
    const offered = own.map((tool) => ({ tool_name: nameThere(tool), names: [tool.name], tool }))
    await deps.store.mcp_servers.sync(actor, server.id, offered, { delete_others: false })
  }
}

/** What a tool is called by its server. */
function nameThere({ name, metadata_ }: Tool): string {
  const { tool_name } = (metadata_?.['mcp'] ?? {}) as { tool_name?: unknown }
  return typeof tool_name === 'string' ? tool_name : name
}

/** The servers of these tools, and those that a file brought and nobody has added, as a file may name them. */
export async function serversInFile(
  deps: CoreDeps,
  actor: Actor,
  tools: readonly Tool[],
  carried: readonly Raw[],
): Promise<Raw[]> {
  const found = new Map<string, McpServer>()
  for (const { id, tool_type } of tools) {
    if (tool_type !== 'external_mcp') continue
    const owner = await deps.store.mcp_servers.serverOf(actor, id)
    if (owner) found.set(owner.server.server_name, owner.server)
  }
  const others = carried.filter(({ server_name }) => !found.has(String(server_name)))
  return [
    ...others,
    ...[...found.values()].map((server, i) => fieldsOf(server, `mcp_server-${others.length + i}`)),
  ]
}

function fieldsOf({ server_name, config }: McpServer, id: string): Raw {
  const base = { id, server_type: config.mcp_server_type, server_name }
  if (config.mcp_server_type !== 'stdio')
    return { ...base, server_url: shownUrl(config.server_url), stdio_config: null, metadata_: null }
  const { command, args } = config
  const stdio_config = { server_name, type: 'stdio', command, args: shownArguments(args) }
  return { ...base, server_url: null, stdio_config, metadata_: null }
}

const SECRET = /token|key|secret|passw|credential|auth/i

/** An address without what lets somebody in. */
function shownUrl(address: string): string {
  const url = new URL(address)
  if (
    url.username === '' &&
    url.password === '' &&
    ![...url.searchParams.keys()].some((name) => SECRET.test(name))
  )
    return address
  url.username = ''
  url.password = ''
  const names = new Set(url.searchParams.keys())
  for (const name of names) if (SECRET.test(name)) url.searchParams.delete(name)
  return url.href
}

/** Arguments of a program without the values of options that are secret by their names. */
function shownArguments(args: readonly string[]): string[] {
  return args.map((argument, i) => {
    const [, option] = /^(--?[\w-]+=)/.exec(argument) ?? []
    if (option !== undefined && SECRET.test(option)) return `${option}…`
    const before = args[i - 1] ?? ''
    return /^--?[\w-]+$/.test(before) && SECRET.test(before) && !argument.startsWith('-') ? '…' : argument
  })
}

/** How a server of a file is reached; null when the file does not say it. */
function configIn(raw: Raw): McpServerConfig | null {
  const { server_type, server_name, server_url, stdio_config } = raw
  const stdio = (stdio_config ?? {}) as { command?: unknown; args?: unknown }
  const config =
    server_type === 'stdio'
      ? { mcp_server_type: 'stdio', command: stdio.command, args: stdio.args ?? [] }
      : { mcp_server_type: server_type, server_url }
  const parsed = createMcpServer.safeParse({ server_name, config })
  if (!parsed.success) return null
  const given = parsed.data.config
  if (given.mcp_server_type === 'stdio') return { ...given, env: null }
  return { ...given, auth_header: null, auth_token: null, custom_headers: null }
}

function sameServer(present: McpServerConfig, config: McpServerConfig): boolean {
  if (present.mcp_server_type === 'stdio')
    return config.mcp_server_type === 'stdio' && present.command === config.command
  return config.mcp_server_type !== 'stdio' && shownUrl(present.server_url) === shownUrl(config.server_url)
}

import { AppError, isAppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import {
  MASKED,
  type McpRefresh,
  type McpServerConfig,
  type UpdateMcpServer,
} from '../../schema/mcp-server.ts'
import type { Tool } from '../../schema/tool.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type {
  McpConnections,
  McpListing,
  McpSecrets,
  McpServer,
  McpToolReturn,
} from '../ports/mcp-servers.ts'
import { judge, type JudgedTool, storedTool } from './mcp-tools.ts'

/** Servers of MCP as sources of tools: `deps.mcp`. Throws `not_implemented` where this process has none. */
export function connectionsOf({ mcp }: Pick<CoreDeps, 'mcp'>): McpConnections {
  if (!mcp) throw new AppError('not_implemented', 'this process has no connections to MCP servers')
  return mcp
}

/**
 * Stores a server and its tools. One that cannot be reached is stored without tools, as V1 does; its state says why, and
 * `onFailure` hears of it. Throws `conflict` for a name that is taken, `invalid_argument` for a program where none may be
 * started.
 */
export async function createMcpServer(
  deps: CoreDeps,
  actor: Actor,
  given: { server_name: string; config: McpServerConfig },
  { signal }: { signal: AbortSignal },
): Promise<McpServer> {
  refuseStdio(deps, actor, given.config)
  const server = await deps.store.mcp_servers.create(actor, {
    id: newId('mcp_server'),
    server_name: given.server_name,
    config: withoutMasks(given.config, null),
    created_at: deps.clock.now().toISOString(),
  })
  await trySync(deps, actor, server, signal)
  return server
}

/** Changes a server, and asks it for its tools again. Null when there is none. */
export async function updateMcpServer(
  deps: CoreDeps,
  actor: Actor,
  server_id: string,
  { server_name, config }: UpdateMcpServer,
  { signal }: { signal: AbortSignal },
): Promise<McpServer | null> {
  const { mcp_servers } = deps.store
  const before = await mcp_servers.get(actor, server_id)
  if (!before) return null
  const merged = withoutMasks(mergeConfig(before.config, config), before.config)
  refuseStdio(deps, actor, merged)
  const server = await mcp_servers.update(actor, server_id, {
    ...(server_name == null ? {} : { server_name }),
    config: merged,
  })
  if (!server) return null
  await connectionsOf(deps).forget(server_id)
  await trySync(deps, actor, server, signal)
  return server
}

/** Deletes a server with its tools. False when there was none. */
export async function deleteMcpServer(deps: CoreDeps, actor: Actor, server_id: string): Promise<boolean> {
  const gone = await deps.store.mcp_servers.delete(actor, server_id)
  await connectionsOf(deps).forget(server_id)
  return gone
}

/** Takes over what a server offers now. Throws what `McpConnections.listTools` throws. */
export async function refreshMcpServer(
  deps: CoreDeps,
  actor: Actor,
  server: McpServer,
  { secrets, signal }: { secrets: McpSecrets; signal: AbortSignal },
): Promise<McpRefresh> {
  const listing = await connectionsOf(deps).listTools(actor, server, { secrets, signal })
  return storeListing(deps, actor, server, listing, { delete_others: true })
}

/**
 * The server says that its tools have changed: new ones are added and others brought up to date. None is deleted for it:
 * a server may take tools away for a while (nobody is logged in), and agents would lose them for good.
 */
export async function followMcpServer(
  deps: CoreDeps,
  actor: Actor,
  server_id: string,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const server = await deps.store.mcp_servers.get(actor, server_id)
  if (!server) return
  const listing = await connectionsOf(deps).listTools(actor, server, { signal })
  await storeListing(deps, actor, server, listing, { delete_others: false })
}

/** Stores what a server that was connected to by hand offers. */
export async function takeOver(
  deps: CoreDeps,
  actor: Actor,
  server: McpServer,
  listing: McpListing,
): Promise<void> {
  await storeListing(deps, actor, server, listing, { delete_others: true })
}

/** One tool of a server, by the name it has there. Throws `not_found`, and `invalid_argument` for an invalid schema. */
export async function addMcpTool(
  deps: CoreDeps,
  actor: Actor,
  server: McpServer,
  tool_name: string,
  { signal }: { signal: AbortSignal },
): Promise<Tool> {
  const listing = await connectionsOf(deps).listTools(actor, server, { signal })
  const found = judge(listing.tools).find((tool) => tool.listing.name === tool_name)
  if (!found)
    throw new AppError('not_found', `The MCP server '${server.server_name}' has no tool '${tool_name}'.`)
  if (found.health.status === 'INVALID')
    throw new AppError(
      'invalid_argument',
      `The tool '${tool_name}' of the MCP server '${server.server_name}' cannot be used: ${found.health.reasons.join('; ')}.`,
    )
  const { mcp_servers } = deps.store
  const { refused } = await mcp_servers.sync(actor, server.id, [storedTool(actor, server, found)], {
    delete_others: false,
  })
  const tools = await mcp_servers.tools(actor, server.id)
  const stored = tools.find((tool) => toolNameOf(tool) === tool_name)
  if (stored && refused.length === 0) return stored
  throw new AppError('conflict', `Other tools have all the names that '${tool_name}' could have.`)
}

/** What a server offers now, with the health of each schema. */
export async function listMcpTools(
  deps: CoreDeps,
  actor: Actor,
  server: McpServer,
  { signal }: { signal: AbortSignal },
): Promise<JudgedTool[]> {
  return judge((await connectionsOf(deps).listTools(actor, server, { signal })).tools)
}

/** Runs a stored tool of a server, with the secrets of the agent that asks for it. */
export async function runMcpTool(
  deps: Pick<CoreDeps, 'store' | 'mcp'>,
  actor: Actor,
  tool: Tool,
  call: { arguments: Record<string, unknown>; secrets: () => Promise<McpSecrets> },
  options: { signal: AbortSignal },
): Promise<McpToolReturn> {
  const found = await deps.store.mcp_servers.serverOf(actor, tool.id)
  if (!found)
    throw new AppError(
      'tool_error',
      `tool '${tool.name}' belongs to an MCP server that is not here; add the server with POST /v1/mcp-servers/`,
    )
  const { server, tool_name } = found
  const secrets = namesSecrets(server.config) ? await call.secrets() : {}
  return connectionsOf(deps).callTool(
    actor,
    server,
    { name: tool_name, arguments: call.arguments, secrets },
    options,
  )
}

function namesSecrets(config: McpServerConfig): boolean {
  return JSON.stringify(config).includes('{{')
}

function toolNameOf(tool: Tool): unknown {
  return (tool.metadata_?.['mcp'] as { tool_name?: unknown } | undefined)?.tool_name
}

async function storeListing(
  deps: CoreDeps,
  actor: Actor,
  server: McpServer,
  listing: McpListing,
  options: { delete_others: boolean },
): Promise<McpRefresh> {
  const usable = judge(listing.tools).filter(({ health }) => health.status !== 'INVALID')
  const tools = usable.map((tool) => storedTool(actor, server, tool))
  const { added, updated, deleted } = await deps.store.mcp_servers.sync(actor, server.id, tools, options)
  return { deleted, updated, added }
}

/** The state of the connection says what went wrong. */
async function trySync(deps: CoreDeps, actor: Actor, server: McpServer, signal: AbortSignal): Promise<void> {
  try {
    await refreshMcpServer(deps, actor, server, { secrets: {}, signal })
  } catch (error) {
    if (!isAppError(error, 'mcp_error') && !isAppError(error, 'mcp_timeout')) throw error
  }
}

function refuseStdio(deps: CoreDeps, actor: Actor, { mcp_server_type }: McpServerConfig): void {
  const refused = mcp_server_type === 'stdio' ? connectionsOf(deps).stdioRefused(actor) : null
  if (refused !== null) throw new AppError('invalid_argument', refused)
}

/** What is absent stays as it was; null takes away what may be absent. */
function mergeConfig(before: McpServerConfig, { ...update }: UpdateMcpServer['config']): McpServerConfig {
  const same = (before.mcp_server_type === 'stdio') === (update.mcp_server_type === 'stdio')
  if (update.mcp_server_type === 'stdio') {
    const old = same && before.mcp_server_type === 'stdio' ? before : null
    return {
      mcp_server_type: 'stdio',
      command: update.command ?? old?.command ?? missing('command'),
      args: update.args ?? old?.args ?? missing('args'),
      env: update.env === undefined ? (old?.env ?? null) : update.env,
    }
  }
  const old = before.mcp_server_type === 'stdio' ? null : before
  const { auth_header, auth_token, custom_headers } = update
  return {
    mcp_server_type: update.mcp_server_type,
    server_url: update.server_url ?? old?.server_url ?? missing('server_url'),
    auth_header: auth_header === undefined ? (old?.auth_header ?? null) : auth_header,
    auth_token: auth_token === undefined ? (old?.auth_token ?? null) : auth_token,
    custom_headers: custom_headers === undefined ? (old?.custom_headers ?? null) : custom_headers,
  }
}

function missing(field: string): never {
  throw new AppError(
    'invalid_argument',
    `The MCP server becomes one of another type: say its '${field}' in the config, too.`,
  )
}

/** With what a mask stands for: a client may send back what it has read. */
function withoutMasks(config: McpServerConfig, before: McpServerConfig | null): McpServerConfig {
  const each = (map: Record<string, string> | null, old: Record<string, string> | null | undefined) =>
    map &&
    Object.fromEntries(
      Object.entries(map).flatMap(([name, value]) => {
        if (value !== MASKED) return [[name, value]]
        const kept = old?.[name]
        return kept === undefined ? [] : [[name, kept]]
      }),
    )
  if (config.mcp_server_type === 'stdio')
    return { ...config, env: each(config.env, before?.mcp_server_type === 'stdio' ? before.env : null) }
  const old = before && before.mcp_server_type !== 'stdio' ? before : null
  return {
    ...config,
    auth_token: config.auth_token === MASKED ? (old?.auth_token ?? null) : config.auth_token,
    custom_headers: each(config.custom_headers, old?.custom_headers),
  }
}

const SECRET_NAME = /auth|token|key|secret|passw|cookie|credential|session/i
const TEMPLATE = /\{\{[^{}]*\}\}/

/**
 * A configuration as it may be shown: what is secret is masked. A text that only names a secret is shown, so is what has
 * a name that means no harm.
 */
export function shownConfig(config: McpServerConfig): McpServerConfig {
  const mask = (value: string) => (value === '' || TEMPLATE.test(value) ? value : MASKED)
  const each = (map: Record<string, string> | null) =>
    map &&
    Object.fromEntries(
      Object.entries(map).map(([name, value]) => [name, SECRET_NAME.test(name) ? mask(value) : value]),
    )
  if (config.mcp_server_type === 'stdio') return { ...config, env: each(config.env) }
  const { auth_token, custom_headers } = config
  return {
    ...config,
    auth_token: auth_token === null ? null : mask(auth_token),
    custom_headers: each(custom_headers),
  }
}

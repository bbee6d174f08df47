import { AppError } from '../../schema/errors.ts'
import { isId, newId } from '../../schema/ids.ts'
import { createMcpServer, type McpServerConfig, MASKED } from '../../schema/mcp-server.ts'
import { type Kind, nameOf } from './bring.ts'
import { timesOf } from './times.ts'

/** MCP servers that are reached over HTTP, with the credentials that the other server tells. */
export const mcpServers: Kind = {
  async plan(deps, actor, raw) {
    const { id: given, server_name, type, ...fields } = raw
    const parsed = createMcpServer.safeParse({
      server_name,
      config: { mcp_server_type: type, ...withoutMasked(fields) },
    })
    if (!parsed.success)
      throw new AppError(
        'invalid_argument',
        'The old server does not say how it is reached. Add it here by hand.',
      )
    const name = parsed.data.server_name
    const config = configOf(parsed.data.config as McpServerConfig)
    if (config.mcp_server_type === 'stdio')
      throw new AppError(
        'forbidden',
        `It is a program (${[config.command, ...config.args].join(' ').slice(0, 200)}) and is not started here because ` +
          'another server says so. If you trust it, add it here under the same name: POST /v1/mcp-servers.',
      )
    const id = typeof given === 'string' ? given : name
    const here = isId('mcp_server', id) ? id : newId('mcp_server')
    const notes =
      config.auth_token === null && config.custom_headers === null
        ? ['The old server tells no credentials for it; set its auth_token where it needs one.']
        : []
    return {
      id,
      name: nameOf({ server_name: name }),
      here,
      view: { server_name: name, config },
      notes,
      async add() {
        const { created_at } = timesOf(deps, raw)
        await deps.store.mcp_servers.create(actor, { id: here, server_name: name, config, created_at })
      },
      async change(known) {
        await deps.store.mcp_servers.update(actor, known, { server_name: name, config })
      },
    }
  },
  async view(deps, actor, here) {
    const server = await deps.store.mcp_servers.get(actor, here)
    return server && { server_name: server.server_name, config: server.config }
  },
  async find(deps, actor, { name, view }) {
    const present = await deps.store.mcp_servers.named(actor, name)
    if (!present) return null
    const { config } = view as { config: McpServerConfig }
    if (
      'server_url' in present.config &&
      'server_url' in config &&
      present.config.server_url === config.server_url
    )
      return present.id
    throw new AppError(
      'conflict',
      `There is another MCP server named '${name}' here, which stays. Rename one of the two.`,
    )
  },
}

function configOf(config: McpServerConfig): McpServerConfig {
  if (config.mcp_server_type === 'stdio') return { ...config, env: config.env ?? null }
  const { mcp_server_type, server_url } = config
  return {
    mcp_server_type,
    server_url,
    auth_header: config.auth_header ?? null,
    auth_token: config.auth_token ?? null,
    custom_headers: config.custom_headers ?? null,
  }
}

/** What stands for a secret is none. */
function withoutMasked(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) => !(typeof value === 'string' && (value === MASKED || /^\*+$/.test(value))),
    ),
  )
}

import type { McpSecrets } from '../../core/ports/mcp-servers.ts'
import { AppError } from '../../schema/errors.ts'
import type { McpServerConfig } from '../../schema/mcp-server.ts'

const TEMPLATE = /\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\|([^{}]*))?\}\}/g

/**
 * The configuration with its `{{ NAME }}` and `{{ NAME | default }}` filled in from an agent's secrets: in tokens, headers
 * and the environment. Throws `mcp_error` for a secret that is not there and has no default.
 */
export function fillIn(server_name: string, config: McpServerConfig, secrets: McpSecrets): McpServerConfig {
  const missing = new Set<string>()
  const fill = (text: string) =>
    text.replaceAll(TEMPLATE, (_, name: string, fallback?: string) => {
      const value = Object.hasOwn(secrets, name) ? secrets[name] : fallback?.trim()
      if (value === undefined) missing.add(name)
      return value ?? ''
    })
  const each = (map: Record<string, string> | null) =>
    map && Object.fromEntries(Object.entries(map).map(([name, value]) => [name, fill(value)]))
  const filled: McpServerConfig =
    config.mcp_server_type === 'stdio'
      ? { ...config, env: each(config.env) }
      : {
          ...config,
          auth_token: config.auth_token === null ? null : fill(config.auth_token),
          custom_headers: each(config.custom_headers),
        }
  if (missing.size === 0) return filled
  const names = [...missing].map((name) => `'${name}'`).join(', ')
  throw new AppError(
    'mcp_error',
    `The MCP server '${server_name}' needs the secret ${names} of the agent that uses it. Set it among the agent's ` +
      'secrets, or give it a default: {{ NAME | default }}.',
  )
}

import type { McpSecrets } from '../../core/ports/mcp-servers.ts'
import { AppError } from '../../schema/errors.ts'
import { MASKED, type McpServerConfig } from '../../schema/mcp-server.ts'

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

const SECRET_NAME = /auth|token|key|secret|passw|cookie|credential|session/i
/** Shorter values are words that occur by themselves. */
const MIN_CHARS = 8

/** A text without the values that are secret in a configuration: a program may print its environment before it dies. */
export function withoutSecrets(text: string, config: McpServerConfig): string {
  const named = config.mcp_server_type === 'stdio' ? config.env : config.custom_headers
  const values = Object.entries(named ?? {}).flatMap(([name, value]) =>
    SECRET_NAME.test(name) ? [value] : [],
  )
  if (config.mcp_server_type !== 'stdio' && config.auth_token !== null)
    values.push(config.auth_token, config.auth_token.replace(/^\w+ +/, ''))
  return values
    .filter(({ length }) => length >= MIN_CHARS)
    .toSorted((a, b) => b.length - a.length)
    .reduce((masked, value) => masked.replaceAll(value, () => MASKED), text)
}

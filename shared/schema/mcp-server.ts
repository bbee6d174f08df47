import * as z from 'zod'
import { idSchema } from './ids.ts'
import { MAX_NAME } from './names.ts'
import { jsonObject } from './page.ts'

/** How an MCP server is reached (V1's `config`); tokens, headers and environment may name secrets as `{{ NAME | default }}`. */
export type McpServerConfig = StdioConfig | HttpConfig

export interface StdioConfig {
  mcp_server_type: 'stdio'
  command: string
  args: string[]
  env: Record<string, string> | null
}

export interface HttpConfig {
  mcp_server_type: 'sse' | 'streamable_http'
  server_url: string
  auth_header: string | null
  auth_token: string | null
  custom_headers: Record<string, string> | null
}

/** Stands in answers for what is secret; sent back it changes nothing. */
export const MASKED = '********'

const text = z.string().max(10_000)
const map = z.record(z.string().min(1).max(MAX_NAME), text)
const command = text.refine((value) => value.trim() !== '', 'name the program to start')
const url = text.refine(isHttpUrl, "expected an address such as 'https://example.com/mcp'")
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/
const NO_HEADER = 'expected the name of an HTTP header'
const headerName = z.string().max(MAX_NAME).regex(HEADER_NAME, NO_HEADER)
const headers = z.record(z.string(), headerValue()).superRefine((map, context) => {
  for (const name of Object.keys(map))
    if (!HEADER_NAME.test(name)) context.addIssue({ code: 'custom', path: [name], message: NO_HEADER })
})

function headerValue() {
  return text.regex(
    // oxlint-disable-next-line no-control-regex -- what a header cannot hold
    /^[^\u0000-\u0008\u000a-\u001f\u007f]*$/,
    'a header has no line breaks or control characters',
  )
}

const stdio = z.object({
  mcp_server_type: z.literal('stdio'),
  command,
  args: z.array(text).max(1000),
  env: map.nullish(),
})
const http = (type: HttpConfig['mcp_server_type']) =>
  z.object({
    mcp_server_type: z.literal(type),
    server_url: url,
    auth_header: headerName.nullish(),
    auth_token: headerValue().nullish(),
    custom_headers: headers.nullish(),
  })
const configs = z.discriminatedUnion('mcp_server_type', [stdio, http('sse'), http('streamable_http')])

/** The clients may leave the type out: what has a command is a program, what has an address is reached over HTTP. */
function typed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const { type, ...given } = value as Record<string, unknown>
  const named = given['mcp_server_type'] ?? type
  return { ...given, mcp_server_type: named ?? ('command' in given ? 'stdio' : 'streamable_http') }
}

function isHttpUrl(value: string): boolean {
  const parsed = URL.parse(value)
  return parsed !== null && (parsed.protocol === 'http:' || parsed.protocol === 'https:')
}

export const serverName = z
  .string()
  .max(MAX_NAME)
  .refine((name) => name.trim() !== '', 'an MCP server needs a name')

export const createMcpServer = z.object({
  server_name: serverName,
  config: z.preprocess(typed, configs),
})
export type CreateMcpServer = z.infer<typeof createMcpServer>

const updates = z.discriminatedUnion('mcp_server_type', [
  stdio
    .partial()
    .extend({ command: command.nullish(), args: z.array(text).max(1000).nullish() })
    .required({
      mcp_server_type: true,
    }),
  update('sse'),
  update('streamable_http'),
])

function update(type: HttpConfig['mcp_server_type']) {
  return http(type).partial().extend({ server_url: url.nullish() }).required({ mcp_server_type: true })
}

export const updateMcpServer = z.object({
  server_name: serverName.nullish(),
  config: z.preprocess(typed, updates),
})
export type UpdateMcpServer = z.infer<typeof updateMcpServer>

/**
 * A body of the older API: the configuration with the server's name in it, and its type as `type`. Answers what the newer
 * API takes.
 */
export const olderMcpServer = z
  .union([
    older(stdio, 'stdio'),
    older(http('sse'), 'sse'),
    older(http('streamable_http'), 'streamable_http'),
  ])
  .transform(({ server_name, type, ...config }) => ({
    server_name,
    config: { ...config, mcp_server_type: type } as CreateMcpServer['config'],
  }))

function older<S extends z.ZodObject, const T extends McpServerConfig['mcp_server_type']>(
  schema: S,
  type: T,
) {
  const { mcp_server_type: _, ...fields } = schema.shape as Omit<S['shape'], 'mcp_server_type'> & {
    mcp_server_type: unknown
  }
  return z.object({ ...fields, server_name: serverName, type: z.literal(type).default(type as never) })
}

/** The same of `PATCH`, which goes by the type that the server has. */
export const olderMcpUpdate = z.object({
  server_name: serverName.nullish(),
  stdio_config: z
    .object({ command: command.nullish(), args: z.array(text).max(1000).nullish(), env: map.nullish() })
    .nullish(),
  server_url: url.nullish(),
  auth_header: headerName.nullish(),
  auth_token: headerValue().nullish(),
  /** The older name of `auth_token`. */
  token: headerValue().nullish(),
  custom_headers: headers.nullish(),
})
export type OlderMcpUpdate = z.infer<typeof olderMcpUpdate>

/** Ours: how the connection of the process that answers does. */
const mcpServerState = z.object({
  state: z.enum(['idle', 'connecting', 'connected', 'authorization_required', 'failed']),
  error: z.string().nullable(),
  since: z.string(),
})

const answered = { id: idSchema('mcp_server'), server_name: z.string(), connection: mcpServerState }
const httpFields = {
  server_url: z.string(),
  auth_header: z.string().nullable(),
  auth_token: z.string().nullable(),
  custom_headers: z.record(z.string(), z.string()).nullable(),
}

/** A server as the routes answer it (V1 `StdioMCPServer`, `SSEMCPServer`, `StreamableHTTPMCPServer`). */
export const mcpServer = z.discriminatedUnion('mcp_server_type', [
  z.object({
    mcp_server_type: z.literal('stdio'),
    command: z.string(),
    args: z.array(z.string()),
    env: z.record(z.string(), z.string()).nullable(),
    ...answered,
  }),
  z.object({ mcp_server_type: z.literal('sse'), ...httpFields, ...answered }),
  z.object({ mcp_server_type: z.literal('streamable_http'), ...httpFields, ...answered }),
])

/** The same in the older API (V1 `StdioServerConfig` and its siblings): the type is called `type`. */
export const olderMcpConfig = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('stdio'),
    server_name: z.string(),
    command: z.string(),
    args: z.array(z.string()),
    env: z.record(z.string(), z.string()).nullable(),
  }),
  z.object({ type: z.literal('sse'), server_name: z.string(), ...httpFields }),
  z.object({ type: z.literal('streamable_http'), server_name: z.string(), ...httpFields }),
])

/** How well a tool's schema serves models (V1 `MCPToolHealth`). */
export const TOOL_HEALTH = ['STRICT_COMPLIANT', 'NON_STRICT_ONLY', 'INVALID'] as const
export interface McpToolHealth {
  status: (typeof TOOL_HEALTH)[number]
  reasons: string[]
}

/** What a refresh changed, by the names of the tools. */
export const mcpRefresh = z.object({
  deleted: z.array(z.string()),
  updated: z.array(z.string()),
  added: z.array(z.string()),
})
export type McpRefresh = z.infer<typeof mcpRefresh>

/** A tool as its server lists it (V1 `MCPTool`). */
export const mcpTool = z.looseObject({
  name: z.string(),
  title: z.string().nullable(),
  description: z.string().nullable(),
  inputSchema: jsonObject,
  outputSchema: jsonObject.nullable(),
  annotations: jsonObject.nullable(),
  _meta: jsonObject.nullable(),
  health: z.object({ status: z.enum(TOOL_HEALTH), reasons: z.array(z.string()) }),
})

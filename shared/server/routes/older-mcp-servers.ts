/** V1's older API of MCP servers, which goes by their names. */
import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import type { McpServer } from '../../core/ports/mcp-servers.ts'
import {
  addMcpTool,
  connectionsOf,
  createMcpServer,
  deleteMcpServer,
  listMcpTools,
  refreshMcpServer,
  runMcpTool,
  shownConfig,
  updateMcpServer,
} from '../../core/tools/mcp-servers.ts'
import { judge } from '../../core/tools/mcp-tools.ts'
import { toolExecutionResult } from '../../schema/custom-tool.ts'
import { idSchema, newId } from '../../schema/ids.ts'
import {
  mcpRefresh,
  mcpTool,
  olderMcpConfig,
  olderMcpServer,
  olderMcpUpdate,
  type OlderMcpUpdate,
  type UpdateMcpServer,
} from '../../schema/mcp-server.ts'
import { jsonObject } from '../../schema/page.ts'
import { tool } from '../../schema/tool.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { CALLBACK_PATH, configOf, connectMcp, executed, finishLogin, toMcpTool } from '../mcp.ts'
import { route } from '../route.ts'

const params = z.object({ mcp_server_name: z.string() })

function shown({ server_name, config }: McpServer) {
  const { mcp_server_type, ...rest } = shownConfig(config)
  return { type: mcp_server_type, server_name, ...rest }
}

async function all(context: ServerContext, actor: Actor) {
  return (await context.deps.store.mcp_servers.list(actor)).map(shown)
}

/** Throws `not_found`. */
async function serverOf(context: ServerContext, actor: Actor, name: string): Promise<McpServer> {
  const found = await context.deps.store.mcp_servers.named(actor, name)
  if (!found) throw notFound('MCP server', name)
  return found
}

/** A change as the newer API has it. */
function updateOf(
  server: McpServer,
  { server_name, stdio_config, token, ...http }: OlderMcpUpdate,
): UpdateMcpServer {
  const { mcp_server_type } = server.config
  const changed = Object.values({ ...http, token }).some((value) => value !== undefined)
  if (stdio_config || (mcp_server_type === 'stdio' && !changed))
    return { server_name, config: { ...stdio_config, mcp_server_type: 'stdio' } }
  return {
    server_name,
    config: {
      ...http,
      ...(token === undefined ? {} : { auth_token: token }),
      mcp_server_type: mcp_server_type === 'stdio' ? 'streamable_http' : mcp_server_type,
    },
  }
}

/** A server that is only tried. */
function passing(context: ServerContext, actor: Actor, body: z.infer<typeof olderMcpServer>): McpServer {
  const now = context.deps.clock.now().toISOString()
  return {
    id: newId('mcp_server'),
    organization_id: actor.organization_id,
    server_name: body.server_name,
    config: configOf(body.config),
    created_at: now,
    updated_at: now,
  }
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/tools/mcp/servers',
    operation: 'list_mcp_servers',
    summary: 'MCP servers by their names',
    answer: z.record(z.string(), olderMcpConfig),
    async handle({ actor, context }) {
      return Object.fromEntries((await all(context, actor)).map((server) => [server.server_name, server]))
    },
  }),
  route({
    method: 'PUT',
    path: '/v1/tools/mcp/servers',
    operation: 'add_mcp_server',
    summary: 'Add an MCP server, or change the one of that name',
    body: olderMcpServer,
    answer: z.array(olderMcpConfig),
    async handle({ actor, context, body, request }) {
      const { deps } = context
      const { signal } = request
      const given = { server_name: body.server_name, config: configOf(body.config) }
      const present = await deps.store.mcp_servers.named(actor, body.server_name)
      if (present) await updateMcpServer(deps, actor, present.id, { config: given.config }, { signal })
      else await createMcpServer(deps, actor, given, { signal })
      return all(context, actor)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tools/mcp/servers/test',
    operation: 'test_mcp_server',
    summary: 'Connect to an MCP server without adding it, and list its tools',
    body: olderMcpServer,
    answer: z.object({ status: z.literal('success'), tools: z.array(mcpTool) }),
    async handle({ actor, context, body, request }) {
      const connections = connectionsOf(context.deps)
      const server = passing(context, actor, body)
      try {
        const { tools } = await connections.listTools(actor, server, { signal: request.signal })
        return { status: 'success', tools: judge(tools).map(toMcpTool) }
      } finally {
        await connections.forget(server.id)
      }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tools/mcp/servers/connect',
    operation: 'connect_mcp_server',
    summary: 'Connect to an MCP server, with its user logging in where it asks for that',
    body: olderMcpServer,
    answer: 'event-stream',
    async handle({ actor, context, body, request }) {
      const present = await context.deps.store.mcp_servers.named(actor, body.server_name)
      if (present) return connectMcp(context, actor, present, request)
      return connectMcp(context, actor, passing(context, actor, body), request, { stored: false })
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/tools/mcp/servers/:mcp_server_name',
    operation: 'update_mcp_server',
    summary: 'Change an MCP server',
    params,
    body: olderMcpUpdate,
    answer: olderMcpConfig,
    async handle({ actor, context, params, body, request }) {
      const server = await serverOf(context, actor, params.mcp_server_name)
      const update = updateOf(server, body)
      const changed = await updateMcpServer(context.deps, actor, server.id, update, {
        signal: request.signal,
      })
      if (!changed) throw notFound('MCP server', params.mcp_server_name)
      return shown(changed)
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/tools/mcp/servers/:mcp_server_name',
    operation: 'delete_mcp_server',
    summary: 'Delete an MCP server with its tools',
    params,
    answer: z.array(olderMcpConfig),
    async handle({ actor, context, params }) {
      const { id } = await serverOf(context, actor, params.mcp_server_name)
      await deleteMcpServer(context.deps, actor, id)
      return all(context, actor)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tools/mcp/servers/:mcp_server_name/tools',
    operation: 'list_mcp_tools_by_server',
    summary: 'The tools that an MCP server has now',
    params,
    answer: z.array(mcpTool),
    async handle({ actor, context, params, request }) {
      const server = await serverOf(context, actor, params.mcp_server_name)
      const tools = await listMcpTools(context.deps, actor, server, { signal: request.signal })
      return tools.map(toMcpTool)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tools/mcp/servers/:mcp_server_name/resync',
    operation: 'resync_mcp_server_tools',
    summary: 'Take over the tools that an MCP server has now',
    params,
    query: z.object({ agent_id: idSchema('agent').optional() }),
    answer: mcpRefresh,
    async handle({ actor, context, params, query, request }) {
      const server = await serverOf(context, actor, params.mcp_server_name)
      const { agent_id } = query
      const secrets = agent_id === undefined ? {} : await context.deps.store.secrets.values(actor, agent_id)
      return refreshMcpServer(context.deps, actor, server, { secrets, signal: request.signal })
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tools/mcp/servers/:mcp_server_name/tools/:tool_name/execute',
    operation: 'execute_mcp_tool',
    summary: 'Run a tool of an MCP server',
    params: params.extend({ tool_name: z.string() }),
    body: z.object({ args: jsonObject.default({}) }),
    optional_body: true,
    answer: toolExecutionResult,
    handle: ({ actor, context, params, body, request }) =>
      context.calls.run({ request, context }, [actor, params, body], async (signal) => {
        const { deps } = context
        const server = await serverOf(context, actor, params.mcp_server_name)
        const stored = await deps.store.mcp_servers.tools(actor, server.id)
        const own = stored.find(({ name }) => name === params.tool_name)
        const call = { arguments: body.args, secrets: () => Promise.resolve({}) }
        if (own) return executed(await runMcpTool(deps, actor, own, call, { signal }))
        const there = { name: params.tool_name, arguments: body.args, secrets: {} }
        return executed(await connectionsOf(deps).callTool(actor, server, there, { signal }))
      }),
  }),
  route({
    method: 'POST',
    path: '/v1/tools/mcp/servers/:mcp_server_name/:mcp_tool_name',
    operation: 'add_mcp_tool',
    summary: 'Add a tool of an MCP server',
    params: params.extend({ mcp_tool_name: z.string() }),
    answer: tool,
    async handle({ actor, context, params, request }) {
      const server = await serverOf(context, actor, params.mcp_server_name)
      return addMcpTool(context.deps, actor, server, params.mcp_tool_name, { signal: request.signal })
    },
  }),
  route({
    method: 'GET',
    path: CALLBACK_PATH,
    operation: 'mcp_oauth_callback',
    summary: 'Where authorization servers send the browser back to',
    query: z.object({
      code: z.string().optional(),
      state: z.string().optional(),
      error: z.string().optional(),
      error_description: z.string().optional(),
    }),
    answer: 'unknown',
    handle: ({ context, request }) => finishLogin(context, request),
  }),
]

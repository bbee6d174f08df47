import * as z from 'zod'
import type { McpServer } from '../../core/ports/mcp-servers.ts'
import type { Actor } from '../../core/ports/actor.ts'
import {
  connectionsOf,
  createMcpServer as createServer,
  deleteMcpServer,
  refreshMcpServer,
  runMcpTool,
  shownConfig,
  updateMcpServer as updateServer,
} from '../../core/tools/mcp-servers.ts'
import { toolExecutionResult } from '../../schema/custom-tool.ts'
import { idSchema, isId } from '../../schema/ids.ts'
import { createMcpServer, mcpRefresh, mcpServer, updateMcpServer } from '../../schema/mcp-server.ts'
import { jsonObject } from '../../schema/page.ts'
import { tool, type Tool } from '../../schema/tool.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { connectMcp, configOf, executed } from '../mcp.ts'
import { route } from '../route.ts'

// As in V1 any text may be asked for: what is no id is not found.
const params = z.object({ mcp_server_id: z.string() })
const toolParams = params.extend({ tool_id: idSchema('tool') })

function shown(context: ServerContext, server: McpServer) {
  return {
    ...shownConfig(server.config),
    id: server.id,
    server_name: server.server_name,
    connection: connectionsOf(context.deps).state(server.id),
  }
}

/** Throws `not_found`. */
async function serverOf(context: ServerContext, actor: Actor, id: string): Promise<McpServer> {
  const found = isId('mcp_server', id) ? await context.deps.store.mcp_servers.get(actor, id) : null
  if (!found) throw notFound('MCP server', id)
  return found
}

/** Throws `not_found`. */
async function toolOf(
  context: ServerContext,
  actor: Actor,
  { mcp_server_id, tool_id }: { mcp_server_id: string; tool_id: string },
): Promise<Tool> {
  const server = await serverOf(context, actor, mcp_server_id)
  const tools = await context.deps.store.mcp_servers.tools(actor, server.id)
  const found = tools.find(({ id }) => id === tool_id)
  if (!found) throw notFound('Tool', tool_id)
  return found
}

export const routes = [
  route({
    method: 'POST',
    path: '/v1/mcp-servers',
    operation: 'mcp_create_mcp_server',
    summary: 'Add an MCP server and its tools',
    body: createMcpServer,
    answer: mcpServer,
    handle: ({ actor, context, body, request }) =>
      context.calls.run({ request, context }, ['create', actor, body], async (signal) => {
        const { server_name, config } = body
        const given = { server_name, config: configOf(config) }
        return shown(context, await createServer(context.deps, actor, given, { signal }))
      }),
  }),
  route({
    method: 'GET',
    path: '/v1/mcp-servers',
    operation: 'mcp_list_mcp_servers',
    summary: 'List MCP servers',
    answer: z.array(mcpServer),
    async handle({ actor, context }) {
      return (await context.deps.store.mcp_servers.list(actor)).map((server) => shown(context, server))
    },
  }),
  route({
    method: 'GET',
    path: '/v1/mcp-servers/connect/:mcp_server_id',
    operation: 'mcp_connect_mcp_server',
    summary: 'Connect to an MCP server, with its user logging in where it asks for that',
    params,
    answer: 'event-stream',
    async handle({ actor, context, params, request }) {
      return connectMcp(context, actor, await serverOf(context, actor, params.mcp_server_id), request)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/mcp-servers/:mcp_server_id',
    operation: 'mcp_retrieve_mcp_server',
    summary: 'Read an MCP server and how its connection does',
    params,
    answer: mcpServer,
    async handle({ actor, context, params }) {
      return shown(context, await serverOf(context, actor, params.mcp_server_id))
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/mcp-servers/:mcp_server_id',
    operation: 'mcp_update_mcp_server',
    summary: 'Change an MCP server and read its tools again',
    params,
    body: updateMcpServer,
    answer: mcpServer,
    async handle({ actor, context, params, body, request }) {
      const { id } = await serverOf(context, actor, params.mcp_server_id)
      const server = await updateServer(context.deps, actor, id, body, { signal: request.signal })
      if (!server) throw notFound('MCP server', id)
      return shown(context, server)
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/mcp-servers/:mcp_server_id',
    operation: 'mcp_delete_mcp_server',
    summary: 'Delete an MCP server with its tools',
    params,
    answer: 'empty',
    async handle({ actor, context, params }) {
      const { id } = await serverOf(context, actor, params.mcp_server_id)
      if (!(await deleteMcpServer(context.deps, actor, id))) throw notFound('MCP server', id)
      return new Response(null, { status: 204 })
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/mcp-servers/:mcp_server_id/refresh',
    operation: 'mcp_refresh_mcp_server_tools',
    summary: 'Take over the tools that an MCP server has now',
    params,
    query: z.object({ agent_id: idSchema('agent').optional() }),
    answer: mcpRefresh,
    async handle({ actor, context, params, query, request }) {
      const server = await serverOf(context, actor, params.mcp_server_id)
      const { agents, secrets } = context.deps.store
      const { agent_id } = query
      if (agent_id !== undefined && !(await agents.get(actor, agent_id, [])))
        throw notFound('Agent', agent_id)
      return refreshMcpServer(context.deps, actor, server, {
        secrets: agent_id === undefined ? {} : await secrets.values(actor, agent_id),
        signal: request.signal,
      })
    },
  }),
  route({
    method: 'GET',
    path: '/v1/mcp-servers/:mcp_server_id/tools',
    operation: 'mcp_list_tools_for_mcp_server',
    summary: 'List the tools of an MCP server',
    params,
    answer: z.array(tool),
    async handle({ actor, context, params }) {
      const { id } = await serverOf(context, actor, params.mcp_server_id)
      return context.deps.store.mcp_servers.tools(actor, id)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/mcp-servers/:mcp_server_id/tools/:tool_id',
    operation: 'mcp_retrieve_mcp_tool',
    summary: 'Read a tool of an MCP server',
    params: toolParams,
    answer: tool,
    handle: ({ actor, context, params }) => toolOf(context, actor, params),
  }),
  route({
    method: 'POST',
    path: '/v1/mcp-servers/:mcp_server_id/tools/:tool_id/run',
    operation: 'mcp_run_tool',
    summary: 'Run a tool of an MCP server',
    params: toolParams,
    body: z.object({ args: jsonObject.default({}) }),
    optional_body: true,
    answer: toolExecutionResult,
    handle: ({ actor, context, params, body, request }) =>
      context.calls.run({ request, context }, [actor, params, body], async (signal) => {
        const found = await toolOf(context, actor, params)
        const call = { arguments: body.args, secrets: () => Promise.resolve({}) }
        return executed(await runMcpTool(context.deps, actor, found, call, { signal }))
      }),
  }),
]

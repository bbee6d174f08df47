/** What the routes of MCP servers have in common. */
import type { Actor } from '../core/ports/actor.ts'
import type { McpListing, McpServer, McpToolReturn } from '../core/ports/mcp-servers.ts'
import { connectionsOf, takeOver } from '../core/tools/mcp-servers.ts'
import { judge, type JudgedTool } from '../core/tools/mcp-tools.ts'
import type { ToolExecutionResult } from '../schema/custom-tool.ts'
import { isAppError, messageOf } from '../schema/errors.ts'
import type { CreateMcpServer, McpServerConfig } from '../schema/mcp-server.ts'
import type { ServerContext } from './context.ts'
import { publicUrl } from './public-url.ts'
import { encodeEvent, eventStream } from './sse.ts'

const KEEP_ALIVE_MS = 15_000

/** Where authorization servers send the browser of the user. */
export const CALLBACK_PATH = '/v1/tools/mcp/oauth/callback'

/** A configuration of a request with what it leaves out. */
export function configOf(given: CreateMcpServer['config']): McpServerConfig {
  if (given.mcp_server_type === 'stdio') return { ...given, env: given.env ?? null }
  const { auth_header = null, auth_token = null, custom_headers = null } = given
  return { ...given, auth_header, auth_token, custom_headers }
}

/** A tool as its server lists it, on the wire. */
export function toMcpTool({ listing, health }: JudgedTool) {
  const { input_schema, output_schema, ...rest } = listing
  const object = (value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
  return {
    ...rest,
    inputSchema: object(input_schema) ?? {},
    outputSchema: object(output_schema),
    _meta: null,
    health,
  }
}

/** What a call outside of a turn answers. */
export function executed({ status, func_response }: McpToolReturn): ToolExecutionResult {
  return {
    status,
    func_return: func_response,
    agent_state: null,
    stdout: [],
    stderr: [],
    sandbox_config_fingerprint: null,
  }
}

/**
 * Connects as a stream of events (V1's OauthStreamEvent): `connection_attempt`, where its user must log in
 * `oauth_required`, `authorization_url` and `waiting_for_oauth`, then `success` with the tools, or `error`. A server that
 * is stored takes its tools over.
 */
export function connectMcp(
  context: ServerContext,
  actor: Actor,
  server: McpServer,
  request: Request,
  options: { stored: boolean } = { stored: true },
): Response {
  const abort = new AbortController()
  const signal = AbortSignal.any([abort.signal, context.closing])
  return eventStream(steps(context, actor, server, { request, signal, ...options }), {
    abort,
    keepAliveMs: KEEP_ALIVE_MS,
    keepAlive: () => ': keep-alive\n\n',
    onError: (error) => {
      if (!isAppError(error)) context.onFailure('connecting to an MCP server', error)
      return event('error', {
        message: isAppError(error)
          ? error.message
          : 'an unknown error occurred; the server log has the details',
        server_name: server.server_name,
      })
    },
  })
}

async function* steps(
  context: ServerContext,
  actor: Actor,
  server: McpServer,
  { request, signal, stored }: { request: Request; signal: AbortSignal; stored: boolean },
): AsyncGenerator<string> {
  const { server_name } = server
  yield event('connection_attempt', { server_name })
  const redirect_url = publicUrl(CALLBACK_PATH, request)
  for await (const step of connectionsOf(context.deps).authorize(actor, server, { redirect_url, signal })) {
    if (step.step === 'authorization_url') {
      yield event('oauth_required', { message: 'The server wants its user to log in.' })
      yield event('authorization_url', { url: step.url, session_id: step.session_id })
      yield event('waiting_for_oauth', { message: 'Open the address in a browser, and log in there.' })
      continue
    }
    if (stored) await takeOver(context.deps, actor, server, step.listing)
    yield event('success', { tools: toolsOf(step.listing) })
  }
}

function toolsOf(listing: McpListing) {
  return judge(listing.tools).map(toMcpTool)
}

function event(name: string, data: Record<string, unknown>): string {
  return encodeEvent({ data: JSON.stringify({ event: name, ...data }) })
}

/** What the browser shows when a log-in has come back. */
export async function finishLogin(context: ServerContext, request: Request): Promise<Response> {
  const query = new URL(request.url).searchParams
  const html = request.headers.get('accept')?.includes('text/html') === true
  try {
    await connectionsOf(context.deps).callback({ state: query.get('state') ?? '', query })
    const message = 'You are logged in. This page can be closed.'
    return html ? page(200, message) : Response.json({ status: 'success', message })
  } catch (error) {
    if (!isAppError(error) || !html) throw error
    return page(400, messageOf(error))
  }
}

function page(status: number, text: string): Response {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return new Response(
    `<!doctype html><meta charset="utf-8"><title>Loci</title><body><p>${escaped}</p></body>\n`,
    {
      status,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy':
          "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        'referrer-policy': 'no-referrer',
      },
    },
  )
}

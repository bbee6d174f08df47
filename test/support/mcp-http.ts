/** MCP servers over HTTP for tests: both SDKs' own, and one that is written by hand and misbehaves on demand. */
import { getRequestListener } from '@hono/node-server'
import { createMcpHandler, McpServer as ModernServer } from '@modelcontextprotocol/server'
import { McpServer as OlderServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as z from 'zod'

export interface HttpServer {
  /** Without a slash at the end. */
  url: string
  close(): Promise<void>
}

/** Serves on a free port of loopback; closing cuts every connection. */
export async function serve(listener: RequestListener): Promise<HttpServer> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

/** A server of the newest protocol (and, without sessions, of the older). */
export function startModernMcp(): Promise<HttpServer> {
  const handler = createMcpHandler(() => {
    const server = new ModernServer({ name: 'modern', version: '1' })
    server.registerTool(
      'add',
      { description: 'Adds.', inputSchema: z.object({ a: z.number(), b: z.number() }) },
      ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }),
    )
    server.registerTool(
      'weather',
      { outputSchema: z.object({ degrees: z.number() }), inputSchema: z.object({}) },
      () => ({ content: [], structuredContent: { degrees: 21 } }),
    )
    server.registerTool('look', { inputSchema: z.object({}) }, () => ({
      content: [
        { type: 'text', text: 'One' },
        { type: 'text', text: 'Two' },
        { type: 'image', data: PIXEL, mimeType: 'image/png' },
        { type: 'image', data: PIXEL, mimeType: 'image/svg+xml' },
        { type: 'audio', data: PIXEL, mimeType: 'audio/wav' },
        { type: 'resource_link', name: 'log', uri: 'file:///tmp/log', mimeType: 'text/plain' },
        { type: 'resource', resource: { uri: 'note://1', text: 'A note.' } },
      ],
    }))
    return server
  })
  const listener = getRequestListener((request) => handler.fetch(request))
  return serve((request, response) => void listener(request, response))
}

/** A server of the oldest transport: a stream of events, and messages that are posted beside it. */
export function startSseMcp(): Promise<HttpServer> {
  const transports = new Map<string, SSEServerTransport>()
  const listen = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', 'http://localhost')
    if (request.method === 'POST') {
      const transport = transports.get(url.searchParams.get('sessionId') ?? '')
      if (!transport) return void response.writeHead(404).end()
      return transport.handlePostMessage(request, response)
    }
    const transport = new SSEServerTransport('/messages', response)
    transports.set(transport.sessionId, transport)
    const server = new OlderServer({ name: 'older', version: '1' })
    server.registerTool('greet', { inputSchema: { name: z.string() } }, ({ name }) => ({
      content: [{ type: 'text', text: `Hello, ${name}.` }],
    }))
    await server.connect(transport)
  }
  return serve((request, response) => void listen(request, response))
}

interface Asked {
  id?: number | string
  method?: string
  params?: { name?: string }
}

/** What a hand-written server does with a message: answers it, or writes what it likes. */
export type Answer = (
  asked: Asked,
  response: ServerResponse,
  request: IncomingMessage,
) => object | null | Promise<object | null>

/** A hand-written server of the older protocol that keeps sessions; `answer` may misbehave first. */
export async function startHandMcp(answer: Answer = () => null): Promise<
  HttpServer & {
    /** Headers of what was asked, the newest last. */
    headers: IncomingMessage['headers'][]
    /** Forgets every session, as a restart does. */
    forget(): void
  }
> {
  const headers: IncomingMessage['headers'][] = []
  let sessions = new Set<string>()
  const listen = async (request: IncomingMessage, response: ServerResponse) => {
    headers.push(request.headers)
    if (request.method !== 'POST') return void response.writeHead(405).end()
    let body = ''
    for await (const piece of request) body += String(piece)
    const asked = JSON.parse(body) as Asked
    const own = await answer(asked, response, request)
    if (response.headersSent || response.writableEnded) return
    const session = request.headers['mcp-session-id']
    const known = asked.method === 'initialize' || asked.method === 'server/discover'
    if (!own && !known && (typeof session !== 'string' || !sessions.has(session)))
      return void response.writeHead(404).end('no such session')
    if (asked.id === undefined) return void response.writeHead(202).end()
    const made = asked.method === 'initialize' ? crypto.randomUUID() : null
    if (made !== null) sessions.add(made)
    response.writeHead(200, {
      'content-type': 'application/json',
      ...(made === null ? {} : { 'mcp-session-id': made }),
    })
    response.end(JSON.stringify({ jsonrpc: '2.0', id: asked.id, ...(own ?? usual(asked)) }))
  }
  const server = await serve((request, response) => {
    listen(request, response).catch(() => response.destroy())
  })
  return {
    ...server,
    headers,
    forget() {
      sessions = new Set()
    },
  }
}

function usual({ method, params }: Asked): object {
  switch (method) {
    case 'initialize':
      return {
        result: {
          protocolVersion: '2025-06-18',
          capabilities: { tools: {} },
          serverInfo: { name: 'hand', version: '1' },
        },
      }
    case 'tools/list':
      return { result: { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] } }
    case 'tools/call':
      return { result: { content: [{ type: 'text', text: `called ${params?.name}` }] } }
    default:
      return { error: { code: -32601, message: 'no such method' } }
  }
}

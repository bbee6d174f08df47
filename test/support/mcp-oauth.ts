/** An MCP server that wants its user to log in, and the authorization server that it names. */
import { createHash } from 'node:crypto'
import { type IncomingMessage, type ServerResponse } from 'node:http'
import { type HttpServer, serve } from './mcp-http.ts'

export interface OAuthServer extends HttpServer {
  /** What the clients that have registered asked for. */
  registered: { redirect_uris: string[] }[]
  /** Tokens that are good now. */
  tokens: Set<string>
  /** Times that a token was renewed. */
  renewals: number
  /** What the user's browser does at an address where the user is to log in: agrees, or does not. */
  logIn(url: string, answer?: 'yes' | 'no'): Promise<Response>
}

/** Starts one whose MCP endpoint is at `/mcp`. */
export async function startOAuthMcp(): Promise<OAuthServer> {
  const tokens = new Set<string>()
  const registered: OAuthServer['registered'] = []
  const codes = new Map<string, { challenge: string; redirect_uri: string }>()
  const refresh = new Set<string>()
  let renewals = 0
  let base = ''
  const json = (response: ServerResponse, body: object, status = 200) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  const issue = (response: ServerResponse) => {
    const [access_token, refresh_token] = [crypto.randomUUID(), crypto.randomUUID()]
    tokens.add(access_token)
    refresh.add(refresh_token)
    json(response, { access_token, refresh_token, token_type: 'Bearer', expires_in: 3600 })
  }
  const listen = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', base)
    let body = ''
    for await (const piece of request) body += String(piece)
    if (url.pathname.startsWith('/.well-known/oauth-protected-resource'))
      return json(response, { resource: `${base}/mcp`, authorization_servers: [base] })
    if (url.pathname === '/.well-known/oauth-authorization-server')
      return json(response, {
        issuer: base,
        authorization_endpoint: `${base}/authorize`,
        token_endpoint: `${base}/token`,
        registration_endpoint: `${base}/register`,
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['none'],
      })
    if (url.pathname === '/register') {
      const asked = JSON.parse(body) as { redirect_uris: string[] }
      registered.push(asked)
      return json(response, { ...asked, client_id: `client-${registered.length}` }, 201)
    }
    if (url.pathname === '/authorize') {
      const redirect_uri = url.searchParams.get('redirect_uri') ?? ''
      const code = crypto.randomUUID()
      codes.set(code, { challenge: url.searchParams.get('code_challenge') ?? '', redirect_uri })
      const back = new URL(redirect_uri)
      back.searchParams.set('state', url.searchParams.get('state') ?? '')
      if (url.searchParams.get('answer') === 'no') back.searchParams.set('error', 'access_denied')
      else back.searchParams.set('code', code)
      return response.writeHead(302, { location: back.href }).end()
    }
    if (url.pathname === '/token') {
      const given = new URLSearchParams(body)
      if (given.get('grant_type') === 'refresh_token') {
        if (!refresh.delete(given.get('refresh_token') ?? ''))
          return json(response, { error: 'invalid_grant' }, 400)
        renewals++
        return issue(response)
      }
      const known = codes.get(given.get('code') ?? '')
      codes.delete(given.get('code') ?? '')
      const hash = createHash('sha256')
        .update(given.get('code_verifier') ?? '')
        .digest('base64url')
      if (!known || known.challenge !== hash || known.redirect_uri !== given.get('redirect_uri'))
        return json(response, { error: 'invalid_grant' }, 400)
      return issue(response)
    }
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? ''
    if (!tokens.has(token))
      return response
        .writeHead(401, {
          'www-authenticate': `Bearer resource_metadata="${base}/.well-known/oauth-protected-resource/mcp"`,
        })
        .end()
    if (request.method !== 'POST') return response.writeHead(405).end()
    answer(JSON.parse(body) as Asked, response)
  }
  const server = await serve((request, response) => {
    listen(request, response).catch(() => response.destroy())
  })
  base = server.url
  return {
    ...server,
    url: `${server.url}/mcp`,
    registered,
    tokens,
    get renewals() {
      return renewals
    },
    logIn: (url, answer = 'yes') => fetch(`${url}&answer=${answer}`, { headers: { accept: 'text/html' } }),
  }
}

interface Asked {
  id?: number | string
  method?: string
}

function answer({ id, method }: Asked, response: ServerResponse): void {
  if (id === undefined) return void response.writeHead(202).end()
  const results: Record<string, object> = {
    initialize: {
      protocolVersion: '2025-06-18',
      capabilities: { tools: {} },
      serverInfo: { name: 'guarded', version: '1' },
    },
    'tools/list': { tools: [{ name: 'secret_of_the_house', inputSchema: { type: 'object' } }] },
    'tools/call': { content: [{ type: 'text', text: 'The key is under the mat.' }] },
  }
  const result = results[method ?? '']
  const error = { code: -32601, message: 'no such method' }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ jsonrpc: '2.0', id, ...(result ? { result } : { error }) }))
}

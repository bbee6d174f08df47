import { UnauthorizedError } from '@modelcontextprotocol/client'
import type { McpAuthorization, McpListing, McpServer } from '../../core/ports/mcp-servers.ts'
import type { HttpConfig } from '../../schema/mcp-server.ts'
import { abortable, httpTransport, newClient } from './connection.ts'
import { describe } from './errors.ts'
import type { McpLimits } from './limits.ts'
import type { Logins } from './logins.ts'
import { type McpCredentials, ServerAuthorization } from './oauth.ts'
import { fillIn } from './templates.ts'

export interface AuthorizeOptions {
  redirect_url: string
  limits: McpLimits
  logins: Logins
  credentials: McpCredentials
  /** Connects with what is there, and lists the tools. */
  list(): Promise<McpListing>
  /** Ends the connections that there are. */
  forget(): Promise<void>
  signal: AbortSignal
}

/** As `McpConnections.authorize`. */
export async function* authorize(
  server: McpServer,
  options: AuthorizeOptions,
): AsyncGenerator<McpAuthorization, void> {
  try {
    yield { step: 'connected', listing: await options.list() }
    return
  } catch (error) {
    const wanted = describe(server.server_name, 'connecting', error).data['authorization_required'] === true
    const config = fillIn(server.server_name, server.config, {})
    if (!wanted || config.mcp_server_type === 'stdio') throw error
    // A token of the configuration that is not good would stand in the way of the one that is to come.
    yield* logIn(server, { ...config, auth_token: null }, options)
  }
  await options.forget()
  yield { step: 'connected', listing: await options.list() }
}

/** Asks the server where to log in, and waits until that was done. */
async function* logIn(
  { server_name }: McpServer,
  config: HttpConfig,
  { redirect_url, limits, logins, credentials, signal }: AuthorizeOptions,
): AsyncGenerator<McpAuthorization, void> {
  const authorization = await ServerAuthorization.open(credentials, redirect_url)
  const transport = httpTransport(config, { limits, authorization })
  const client = newClient(limits, () => undefined)
  const within = AbortSignal.any([signal, AbortSignal.timeout(limits.connect_ms)])
  try {
    try {
      const connecting = client.connect(transport, { timeout: limits.connect_ms, signal: within })
      await abortable(connecting, within)
      // A token that was renewed is good enough.
      return
    } catch (refusal) {
      if (!(refusal instanceof UnauthorizedError) || authorization.url === null)
        throw describe(server_name, 'asking how to log in', refusal)
    }
    const { session_id, url } = authorization
    const login = logins.begin(session_id, signal)
    try {
      yield { step: 'authorization_url', url: url.href, session_id }
      await login.finish(async (query) => {
        try {
          await transport.finishAuth(query)
        } catch (failure) {
          throw describe(server_name, 'completing the log-in', failure)
        }
      })
    } finally {
      login.end()
    }
  } finally {
    await client.close()
    await transport.close()
  }
}

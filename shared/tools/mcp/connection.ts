import {
  Client,
  type OAuthClientProvider,
  SSEClientTransport,
  SseError,
  StreamableHTTPClientTransport,
  type Transport,
} from '@modelcontextprotocol/client'
import type { HttpConfig, McpServerConfig } from '../../schema/mcp-server.ts'
import { VERSION } from '../../schema/version.ts'
import { boundedFetch } from './bounded-fetch.ts'
import type { McpLimits } from './limits.ts'
import { StdioTransport } from './stdio-transport.ts'

export interface ConnectionOptions {
  limits: McpLimits
  authorization: OAuthClientProvider | null
  /** The server is known to speak an older protocol only: it is not asked for the newer one. */
  older: boolean
  /** The server says that it has other tools now. */
  onToolsChanged(): void
  signal: AbortSignal
}

/** An open connection to a server; the caller closes it. */
export interface Connection {
  client: Client
  /** It speaks an older protocol. */
  older: boolean
  /** Why it cannot be used any more; null while it can. */
  readonly failure: string | null
  /** Resolves when it has ended, whoever ended it. */
  ended: Promise<void>
  close(): Promise<void>
}

/** Milliseconds that an older program has to say that it does not know the newer protocol, at most. */
const PROBE_MS = 8000
/** A list that changes all the time is asked for as often as this. */
const CHANGES_MS = 1000

/**
 * Connects in the newest protocol that both sides speak. A program that the question for it has ended is started once
 * more and spoken to in the older one.
 */
export async function connect(config: McpServerConfig, options: ConnectionOptions): Promise<Connection> {
  const { limits } = options
  // The transport of events and posts belongs to the older protocols.
  if (config.mcp_server_type !== 'stdio')
    return open(httpTransport(config, options), options, options.older || config.mcp_server_type === 'sse')
  const first = new StdioTransport(config, limits)
  try {
    return await open(first, options, options.older)
  } catch (error) {
    const ended = first.failure?.startsWith('it ended with') === true
    if (!ended || options.older || options.signal.aborted) throw withReason(error, first)
  }
  const second = new StdioTransport(config, limits)
  try {
    return await open(second, options, true)
  } catch (error) {
    throw withReason(error, second)
  }
}

/** Transport for a server that is reached over HTTP. */
export function httpTransport(
  config: HttpConfig,
  { limits, authorization }: Pick<ConnectionOptions, 'limits' | 'authorization'>,
): StreamableHTTPClientTransport | SSEClientTransport {
  const options = {
    requestInit: { headers: headersOf(config) },
    fetch: boundedFetch(limits),
    ...(authorization ? { authProvider: authorization } : {}),
  }
  const url = new URL(config.server_url)
  return config.mcp_server_type === 'sse'
    ? new SSEClientTransport(url, options)
    : new StreamableHTTPClientTransport(url, options)
}

/** A client that trusts nothing: what a tool returns is not held against a schema that its server wrote, too. */
export function newClient(limits: McpLimits, onToolsChanged: () => void): Client {
  return new Client(
    { name: 'loci', version: VERSION },
    {
      capabilities: {},
      versionNegotiation: { mode: 'auto', probe: { timeoutMs: Math.min(PROBE_MS, limits.connect_ms / 3) } },
      jsonSchemaValidator: {
        getValidator: () => (input) => ({ valid: true, data: input as never, errorMessage: undefined }),
      },
      listMaxPages: 16,
      listChanged: {
        tools: { autoRefresh: false, debounceMs: CHANGES_MS, onChanged: onToolsChanged },
      },
    },
  )
}

async function open(transport: Transport, options: ConnectionOptions, older: boolean): Promise<Connection> {
  const client = newClient(options.limits, () => options.onToolsChanged())
  const ended = Promise.withResolvers<void>()
  let failure: string | null = null
  const end = (why: string) => {
    failure ??= (transport instanceof StdioTransport ? transport.failure : null) ?? why
    ended.resolve()
  }
  // oxlint-disable unicorn/prefer-add-event-listener -- the SDK's client has no other way
  client.onclose = () => end('the connection was closed')
  client.onerror = (error) => {
    // The stream is the connection here, and what is opened in its place belongs to a new session.
    if (transport instanceof SSEClientTransport && error instanceof SseError) {
      end('the connection was lost')
      void transport.close()
    }
  }
  // oxlint-enable unicorn/prefer-add-event-listener
  const close = async () => {
    end('it was closed by Loci')
    if (transport instanceof StreamableHTTPClientTransport && transport.sessionId !== undefined)
      await Promise.race([transport.terminateSession().catch(() => undefined), after(500)])
    await client.close()
    // An end that came while the protocol was being negotiated has nobody who passes it on.
    await transport.close()
  }
  const timeout = options.limits.connect_ms
  try {
    await abortable(
      client.connect(transport, {
        timeout,
        signal: options.signal,
        ...(older ? { prior: { kind: 'legacy' as const } } : {}),
      }),
      options.signal,
    )
  } catch (error) {
    await close()
    throw error
  }
  return {
    client,
    older: client.getProtocolEra() === 'legacy',
    get failure() {
      return failure
    },
    ended: ended.promise,
    close,
  }
}

/** The end of a program says more than that of its pipe. */
function withReason(error: unknown, transport: StdioTransport): unknown {
  const { failure } = transport
  return failure === null || failure === 'it was ended by Loci' ? error : new Error(failure)
}

function headersOf(config: HttpConfig): Record<string, string> {
  const { auth_header, auth_token, custom_headers } = config
  const headers = { ...custom_headers }
  if (auth_token === null || auth_token === '') return headers
  const name = auth_header ?? 'Authorization'
  const bare = name.toLowerCase() === 'authorization' && !auth_token.trim().includes(' ')
  return { ...headers, [name]: bare ? `Bearer ${auth_token.trim()}` : auth_token }
}

/** As the promise, but no longer than `signal` lets it. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    aborted.promise.catch(() => undefined)
    promise.catch(() => undefined)
  }
}

async function after(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms).unref())
}

import type { Anthropic } from '@anthropic-ai/sdk'
import type { IncomingMessage } from 'node:http'
import type { ProviderConfig } from '../schema/provider.ts'
import { serverRoot } from './providers.ts'
import { NO_LIMIT, SdkTransport } from './sdk-transport.ts'

/** A client of package `@anthropic-ai/sdk` for one provider, made at the first request. */
interface MessagesClient {
  url: string
  /** Posts a request for a message; resolves with the headers, whatever the status. */
  post(body: Anthropic.MessageCreateParams, signal: AbortSignal): Promise<IncomingMessage>
  /** Asks for something else under `/v1/messages`; `json` is sent as it is, by POST. */
  ask(path: string, json: string | null, signal: AbortSignal): Promise<IncomingMessage>
}

const clients = new WeakMap<ProviderConfig, MessagesClient>()

/** The client for this provider; the same one for the same configuration object. */
export function messagesClientFor(provider: ProviderConfig, connect_ms: number): MessagesClient {
  let client = clients.get(provider)
  if (!client) clients.set(provider, (client = createClient(provider, connect_ms)))
  return client
}

function createClient(provider: ProviderConfig, connect_ms: number): MessagesClient {
  const root = serverRoot(provider)
  const own = new Set(Object.keys(provider.headers ?? {}).map((name) => name.toLowerCase()))
  // The package adds what ANTHROPIC_CUSTOM_HEADERS holds: meant for Anthropic itself, not for every provider.
  const transport = new SdkTransport(
    connect_ms,
    (name) =>
      own.has(name) ||
      /^(accept|content-type|user-agent|x-api-key|anthropic-version|x-stainless-.*)$/.test(name),
  )
  let sdk: Promise<Anthropic> | undefined

  const load = async () => {
    const { Anthropic: Client } = await import('@anthropic-ai/sdk')
    const key = provider.api_key?.trim() || null
    return new Client({
      baseURL: root,
      // Never what the environment or a profile of the user holds for Anthropic itself.
      apiKey: key ?? 'none',
      authToken: null,
      webhookKey: null,
      maxRetries: 0,
      timeout: NO_LIMIT,
      logLevel: 'off',
      defaultHeaders: { ...(key ? {} : { 'x-api-key': null }), ...provider.headers },
      fetch: transport.fetch,
    })
  }
  return {
    url: `${root}/v1/messages`,
    async post(body, signal) {
      const client = await (sdk ??= load())
      const asked = client.post('/v1/messages', { body, signal, stream: body.stream === true })
      return transport.incoming(asked.asResponse())
    },
    async ask(path, json, signal) {
      const client = await (sdk ??= load())
      const headers = { 'content-type': 'application/json' }
      const url = `/v1/messages${path}`
      const asked =
        json === null ? client.get(url, { signal }) : client.post(url, { body: json, headers, signal })
      return transport.incoming(asked.asResponse())
    },
  }
}

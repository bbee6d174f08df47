import type { IncomingMessage } from 'node:http'
import type { OpenAI } from 'openai'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { apiBase, serverRoot } from './providers.ts'
import { NO_LIMIT, SdkTransport } from './sdk-transport.ts'

/** A client of package `openai` for one provider, made at the first request. */
interface ApiClient {
  /** What the paths are added to. */
  base: string
  /** Posts JSON; resolves with the headers, whatever the status. The signal reaches into the body. */
  post(
    path: string,
    json: string,
    options: { stream: boolean; signal: AbortSignal },
  ): Promise<IncomingMessage>
  /** The same for text of another media type. */
  postAs(path: string, type: string, text: string, signal: AbortSignal): Promise<IncomingMessage>
  get(path: string, signal: AbortSignal): Promise<IncomingMessage>
}

/** With it the package sends text as it is. */
const JSON_BODY = { 'content-type': 'application/json' }

const clients = new WeakMap<ProviderConfig, Map<string, ApiClient>>()

/** The client for this provider and, on Azure, this deployment; the same one for the same configuration object. */
export function clientFor(
  provider: ProviderConfig,
  model: Pick<Model, 'name'>,
  connect_ms: number,
): ApiClient {
  let own = clients.get(provider)
  if (!own) clients.set(provider, (own = new Map()))
  const base = chatBase(provider, model)
  let client = own.get(base)
  if (!client) own.set(base, (client = createClient(provider, base, connect_ms)))
  return client
}

/** Azure's older API has a URL for each deployment; its `v1` API is like everybody's. */
function chatBase(provider: ProviderConfig, model: Pick<Model, 'name'>): string {
  if (provider.provider_type !== 'azure') return apiBase(provider)
  const root = serverRoot(provider).replace(/\/openai$/, '')
  return deploymentsVersion(provider)
    ? `${root}/openai/deployments/${encodeURIComponent(model.name)}`
    : `${root}/openai/v1`
}

/** The version of Azure's older API, which knows no Responses; null for its `v1` API. */
function deploymentsVersion(provider: ProviderConfig): string | null {
  return provider.api === 'responses' ? null : (provider.api_version ?? null)
}

function createClient(provider: ProviderConfig, base: string, connect_ms: number): ApiClient {
  const transport = new SdkTransport(connect_ms)
  let sdk: Promise<OpenAI> | undefined

  const load = async () => {
    const { OpenAI: Client } = await import('openai')
    const azure = provider.provider_type === 'azure'
    const version = azure ? deploymentsVersion(provider) : null
    const key = provider.api_key?.trim() || null
    return new Client({
      baseURL: base,
      apiKey: key ?? 'none',
      // Never what the environment holds for OpenAI itself.
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
      maxRetries: 0,
      timeout: NO_LIMIT,
      logLevel: 'off',
      defaultHeaders: {
        ...(azure ? { 'api-key': key } : {}),
        ...(azure || !key ? { Authorization: null } : {}),
        ...provider.headers,
      },
      ...(version ? { defaultQuery: { 'api-version': version } } : {}),
      fetch: transport.fetch,
    })
  }
  return {
    base,
    async post(path, json, options) {
      const client = await (sdk ??= load())
      return transport.incoming(
        client.post(path, { body: json, headers: JSON_BODY, ...options }).asResponse(),
      )
    },
    async postAs(path, type, text, signal) {
      const client = await (sdk ??= load())
      const headers = { 'content-type': type }
      return transport.incoming(client.post(path, { body: text, headers, signal }).asResponse())
    },
    async get(path, signal) {
      const client = await (sdk ??= load())
      return transport.incoming(client.get(path, { signal }).asResponse())
    },
  }
}

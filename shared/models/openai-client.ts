import type { IncomingMessage } from 'node:http'
import type { OpenAI } from 'openai'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { apiBase, serverRoot } from './providers.ts'
import { send } from './transport.ts'

/** A client of package `openai` for one provider, made at the first request. */
export interface ChatClient {
  /** Where chat completions go. */
  url: string
  /** Asks; resolves with the headers, whatever the status. The signal reaches into the body. */
  post(body: Record<string, unknown>, signal: AbortSignal): Promise<IncomingMessage>
}

const clients = new WeakMap<ProviderConfig, Map<string, ChatClient>>()
/** Larger than any of our limits, so that the package's own timer never speaks first. */
const NO_LIMIT = 2_147_483_647

/** The client for this provider and, on Azure, this deployment; the same one for the same configuration object. */
export function clientFor(provider: ProviderConfig, model: Model, connect_ms: number): ChatClient {
  let own = clients.get(provider)
  if (!own) clients.set(provider, (own = new Map()))
  const base = chatBase(provider, model)
  let client = own.get(base)
  if (!client) own.set(base, (client = createClient(provider, base, connect_ms)))
  return client
}

/** Azure's older API has a URL for each deployment; its `v1` API is like everybody's. */
function chatBase(provider: ProviderConfig, model: Model): string {
  if (provider.provider_type !== 'azure') return apiBase(provider)
  const root = serverRoot(provider).replace(/\/openai$/, '')
  return provider.api_version
    ? `${root}/openai/deployments/${encodeURIComponent(model.name)}`
    : `${root}/openai/v1`
}

function createClient(provider: ProviderConfig, base: string, connect_ms: number): ChatClient {
  const answers = new WeakMap<Response, IncomingMessage>()
  let sdk: Promise<OpenAI> | undefined

  const load = async () => {
    const { OpenAI: Client } = await import('openai')
    const azure = provider.provider_type === 'azure'
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
      ...(azure && provider.api_version ? { defaultQuery: { 'api-version': provider.api_version } } : {}),
      fetch: async (url, init) => {
        const incoming = await send(new URL(url instanceof Request ? url.url : url), {
          method: init?.method ?? 'POST',
          headers: Object.fromEntries(new Headers(init?.headers as Headers | undefined)),
          body: init?.body as string | undefined,
          signal: init?.signal ?? new AbortController().signal,
          connect_ms,
        })
        // Every status goes through as 200: what a failure means is decided in openai-errors.ts, from the real body.
        const response = new Response(null)
        answers.set(response, incoming)
        return response
      },
    })
  }
  return {
    url: `${base}/chat/completions`,
    async post(body, signal) {
      const client = await (sdk ??= load())
      const asked = client.post('/chat/completions', { body, signal, stream: body.stream === true })
      const response = await asked.asResponse().catch((error: unknown) => {
        // The package wraps what the transport threw.
        throw error instanceof Error && error.cause instanceof Error ? error.cause : error
      })
      const incoming = answers.get(response)
      if (!incoming) throw new Error('the openai package answered with a response that is not ours')
      return incoming
    },
  }
}

import { randomBytes } from 'node:crypto'
import type {
  OAuthClientMetadata,
  OAuthClientProvider,
  OAuthDiscoveryState,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
} from '@modelcontextprotocol/client'
import { UnauthorizedError } from '@modelcontextprotocol/client'
import { AppError } from '../../schema/errors.ts'

/** Where the credentials of servers are kept: a text for each, encrypted at rest; null: there are none. */
export interface McpCredentials {
  load(): Promise<string | null>
  save(text: string | null): Promise<void>
}

/** What is kept of an authorization. */
interface Kept {
  /** Where the authorization server sends the browser; the client was registered with it. */
  redirect_url: string
  client?: StoredOAuthClientInformation | undefined
  tokens?: StoredOAuthTokens | undefined
  discovery?: OAuthDiscoveryState | undefined
}

/** Whether there is something to authorize with; a token that has run out is renewed with it. */
export async function hasTokens(credentials: McpCredentials): Promise<boolean> {
  return (await read(credentials))?.tokens !== undefined
}

/**
 * OAuth for one server, as the SDK drives it. Without `redirect_url` nobody is asked: tokens are used and renewed, and
 * when that does not do, it throws `UnauthorizedError`.
 */
export class ServerAuthorization implements OAuthClientProvider {
  /** Where the user is to log in, once that is known. */
  url: URL | null = null
  readonly session_id = randomBytes(32).toString('base64url')
  readonly #credentials: McpCredentials
  readonly #asked: string | null
  #redirect: string
  #verifier = ''

  private constructor(credentials: McpCredentials, asked: string | null, redirect: string) {
    this.#credentials = credentials
    this.#asked = asked
    this.#redirect = redirect
  }

  static async open(credentials: McpCredentials, redirect_url: string | null): Promise<ServerAuthorization> {
    const kept = await read(credentials)
    // A client is registered for one address of ours, and our port may be another one today.
    if (redirect_url !== null && kept && kept.redirect_url !== redirect_url)
      await credentials.save(JSON.stringify({ redirect_url } satisfies Kept))
    return new ServerAuthorization(credentials, redirect_url, redirect_url ?? kept?.redirect_url ?? '')
  }

  get redirectUrl(): string {
    return this.#redirect
  }

  get clientMetadata(): OAuthClientMetadata {
    return {
      client_name: 'Loci',
      redirect_uris: [this.#redirect],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }
  }

  state(): string {
    return this.session_id
  }

  async clientInformation(): Promise<StoredOAuthClientInformation | undefined> {
    return (await read(this.#credentials))?.client
  }

  saveClientInformation(client: StoredOAuthClientInformation): Promise<void> {
    return this.#change((kept) => ({ ...kept, client }))
  }

  async tokens(): Promise<StoredOAuthTokens | undefined> {
    return (await read(this.#credentials))?.tokens
  }

  saveTokens(tokens: StoredOAuthTokens): Promise<void> {
    return this.#change((kept) => ({ ...kept, tokens }))
  }

  redirectToAuthorization(url: URL): void {
    if (this.#asked === null) throw new UnauthorizedError('nobody is there to log in')
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw new AppError(
        'mcp_error',
        `the server wants its user to log in at '${url.protocol}', which is no web page`,
      )
    this.url = url
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier
  }

  codeVerifier(): string {
    return this.#verifier
  }

  async discoveryState(): Promise<OAuthDiscoveryState | undefined> {
    return (await read(this.#credentials))?.discovery
  }

  saveDiscoveryState(discovery: OAuthDiscoveryState): Promise<void> {
    return this.#change((kept) => ({ ...kept, discovery }))
  }

  invalidateCredentials(scope: 'all' | 'client' | 'tokens' | 'verifier' | 'discovery'): Promise<void> {
    if (scope === 'verifier') this.#verifier = ''
    const all = scope === 'all'
    return this.#change(({ redirect_url, client, tokens, discovery }) => ({
      redirect_url,
      client: all || scope === 'client' ? undefined : client,
      tokens: all || scope === 'tokens' ? undefined : tokens,
      discovery: all || scope === 'discovery' ? undefined : discovery,
    }))
  }

  async #change(change: (kept: Kept) => Kept): Promise<void> {
    const kept = (await read(this.#credentials)) ?? { redirect_url: this.#redirect }
    await this.#credentials.save(JSON.stringify(change(kept)))
  }
}

async function read(credentials: McpCredentials): Promise<Kept | null> {
  const text = await credentials.load()
  return text === null ? null : (JSON.parse(text) as Kept)
}

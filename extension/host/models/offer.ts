import { randomUUID } from 'node:crypto'
import type { LociClient } from '../../../shared/client/http.ts'
import type { EditorBody } from '../../../shared/schema/editor.ts'
import type { EditorModel, EditorModels } from './editor-models.ts'
import { startEndpoint, type Endpoint } from './endpoint.ts'

export interface OfferOptions {
  models: EditorModels
  onConsentMissing: (model: EditorModel) => void
  log: (line: string) => void
}

/** This window's models, offered to servers as provider `vscode`. */
export interface Offer {
  /**
   * Offers them to this server. One on another machine could not reach them, one that knows no editors (a V1 server)
   * does without. Throws what the client throws.
   */
  to(client: LociClient): Promise<void>
  /** There are other models now: tells the server. */
  changed(): Promise<void>
  /** Takes them back, and stops listening. */
  withdraw(): Promise<void>
}

/** Nothing listens before the first `to`. The caller withdraws it, or its process ends. */
export function createOffer(options: OfferOptions): Offer {
  const id = `editor-${randomUUID()}`
  let endpoint: Promise<Endpoint> | null = null
  let server: LociClient | null = null
  let revision = 0

  async function put(client: LociClient): Promise<void> {
    endpoint ??= startEndpoint({ ...options, window: id })
    const { base_url, token } = await endpoint
    // The models may be others than those of the last time.
    const body: EditorBody = { base_url, api_key: token, revision: String(++revision) }
    try {
      await client.letta.put(`/v1/editors/${id}`, { body })
      server = client
    } catch (error) {
      if ((error as { status?: unknown }).status !== 404) throw error
      options.log(`The server at ${client.url} takes no models of the editor.`)
    }
  }

  return {
    async to(client) {
      server = null
      if (!isOnThisMachine(client.url)) {
        options.log(`The server at ${client.url} is elsewhere: it cannot reach the models of this editor.`)
        return
      }
      await put(client)
    },
    async changed() {
      if (server) await put(server)
    },
    async withdraw() {
      const from = server
      const open = await endpoint
      server = null
      endpoint = null
      await open?.close()
      await from?.letta.delete(`/v1/editors/${id}`)
    },
  }
}

function isOnThisMachine(url: string): boolean {
  return /^(127(\.\d+){3}|localhost|\[::1\])$/.test(URL.parse(url)?.hostname ?? '')
}

import type { IncomingMessage } from 'node:http'
import { send } from './transport.ts'

/** Larger than any of our limits, so that a package's own timer never speaks first. */
export const NO_LIMIT = 2_147_483_647

/**
 * Lets the official packages send over our transport: `fetch` is given to their client, and `incoming` takes the answer
 * out of what the client returned. Every status goes through as 200: what a failure means is decided in
 * model-errors.ts, from the real body.
 */
export class SdkTransport {
  readonly #answers = new WeakMap<Response, IncomingMessage>()
  readonly #connect_ms: number
  readonly #keeps: (header: string) => boolean

  /** `keeps` says which of the headers that the package wrote are sent. Default: all. */
  constructor(connect_ms: number, keeps: (header: string) => boolean = () => true) {
    this.#connect_ms = connect_ms
    this.#keeps = keeps
  }

  readonly fetch = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const headers = [...new Headers(init?.headers as Headers | undefined)].filter(([name]) =>
      this.#keeps(name),
    )
    const incoming = await send(new URL(url instanceof Request ? url.url : url), {
      method: init?.method ?? 'POST',
      headers: Object.fromEntries(headers),
      body: init?.body as string | undefined,
      signal: init?.signal ?? new AbortController().signal,
      connect_ms: this.#connect_ms,
    })
    const response = new Response(null)
    this.#answers.set(response, incoming)
    return response
  }

  /** The real answer behind a response of `fetch`; a failure is what the transport threw. */
  async incoming(asked: Promise<Response>): Promise<IncomingMessage> {
    const response = await asked.catch((error: unknown) => {
      // The packages wrap it.
      throw error instanceof Error && error.cause instanceof Error ? error.cause : error
    })
    const incoming = this.#answers.get(response)
    if (!incoming) throw new Error('the package answered with a response that is not ours')
    return incoming
  }
}

import { Letta } from '@letta-ai/letta-client'
import type { AgentState } from '@letta-ai/letta-client/resources/agents/agents'
import type { LettaStreamingResponse } from '@letta-ai/letta-client/resources/agents/messages'
import { AppError, isAppError, messageOf } from '../schema/errors.ts'
import { event, health, type Event } from '../schema/event.ts'
import { findAgent } from './find-agent.ts'
import { readSse } from './sse.ts'

/** First item of the feed: the server follows from here, and `id` is the newest event at that moment. */
interface FeedReady {
  type: 'ready'
  id: number
  /** The server does not know the cursor, as after a restored backup: anything may have changed. */
  reset?: true
}
export type FeedItem = FeedReady | Event

/** One item of a streamed turn, as `letta.agents.messages.create(…, { streaming: true })` gives it. */
export type TurnItem = LettaStreamingResponse

/** A Loci (or any server with the Letta V1 API), over HTTP or in this process. */
export interface LociClient {
  /** Where it is, for messages to people: a URL, or `in-process:<data directory>`. */
  readonly url: string
  /** The official client, ready to use. Its failures are the SDK's own classes; `describeFailure` makes them readable. */
  readonly letta: Letta
  /**
   * Follows the changes of agents, blocks, tools and runs over one connection: `ready` first, then each change as it is
   * committed by any process. `after` is the id of the last event seen (of `ready`, too); without it the feed starts
   * now. Ends when `signal` aborts or the client is closed; throws when the connection is refused or lost. It does
   * not reconnect: call it again with the last id.
   */
  events(after: number | undefined, options: { signal: AbortSignal }): AsyncGenerator<FeedItem, void>
  /**
   * The agent with this id or exact name. Throws `not_found`, naming near names or those there are, and `conflict`
   * with the ids when several agents have the name.
   */
  findAgent(nameOrId: string, options?: { signal?: AbortSignal | undefined }): Promise<AgentState>
  /** Version of the server. Throws when nothing answers, or what answers is not such a server. */
  health(options?: { signal?: AbortSignal }): Promise<{ version: string }>
  /** Aborts what is under way and releases what the client opened. May be called twice. */
  close(): Promise<void>
}

export interface ConnectOptions {
  /** Base URL without `/v1`, for example `http://127.0.0.1:8283`. */
  url: string
  /** Bearer token. Without one no key is sent, not even one from the environment. */
  token?: string | undefined
  fetch?: typeof globalThis.fetch | undefined
}

/** A turn of a slow local model takes minutes: the SDK's own 60 s would ask again in mid-turn. In milliseconds. */
const TIMEOUT = 60 * 60 * 1000

/**
 * A client of the server at `url`; nothing is sent yet. Idempotent requests may be retried twice, as the SDK does; a
 * caller that sends messages to a foreign V1 server passes `maxRetries: 0`. Throws `invalid_argument` for a URL that
 * cannot be one. The caller closes it.
 */
export function connect(options: ConnectOptions): LociClient {
  const url = baseUrl(options.url)
  const send = options.fetch ?? globalThis.fetch
  const closed = new AbortController()
  const letta = new Letta({
    baseURL: url,
    // In both places: the SDK would take a key from LETTA_API_KEY, and headers from LETTA_CUSTOM_HEADERS.
    apiKey: options.token ?? null,
    defaultHeaders: { authorization: options.token ? `Bearer ${options.token}` : null },
    timeout: TIMEOUT,
    maxRetries: 2,
    // Its default logger writes to stdout, which belongs to the protocol in `loci mcp`.
    logLevel: 'off',
    fetch: (input, init) => {
      const signal = init?.signal ? AbortSignal.any([init.signal, closed.signal]) : closed.signal
      return send(input, { ...init, signal })
    },
  })

  async function* events(
    after: number | undefined,
    { signal }: { signal: AbortSignal },
  ): AsyncGenerator<FeedItem, void> {
    const ended = () => signal.aborted || closed.signal.aborted
    if (ended()) return
    try {
      const response = await letta
        .get('/v1/events', {
          query: after === undefined ? {} : { after },
          headers: { accept: 'text/event-stream' },
          signal,
          maxRetries: 0,
        })
        .asResponse()
      if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
        throw new AppError('not_implemented', `The server at ${url} has no event feed (GET /v1/events).`)
      }
      for await (const message of readSse(response.body)) {
        if (ended()) return
        yield feedItem(message.event, message.data)
      }
    } catch (error) {
      if (ended()) return
      throw error
    }
    if (!ended()) throw new AppError('internal', `The event feed of ${url} ended: the server has stopped.`)
  }

  return {
    url,
    letta,
    events,
    findAgent: (nameOrId, find = {}) => findAgent(letta, nameOrId, find),
    async health({ signal } = {}) {
      const answer = health.safeParse(await letta.health({ maxRetries: 0, ...(signal ? { signal } : {}) }))
      if (answer.success) return { version: answer.data.version }
      throw new AppError('invalid_argument', `What answers at ${url} is not a server with the Letta V1 API.`)
    },
    close() {
      closed.abort()
      return Promise.resolve()
    },
  }
}

/** What a server answered to a request it refused; null for anything else that a `LociClient` threw. */
export function refusalOf(error: unknown): { status: number; body: Record<string, unknown> } | null {
  if (!(error instanceof Letta.APIError) || error.status === undefined) return null
  const body: unknown = error.error
  return {
    status: error.status as number,
    body: typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {},
  }
}

/** One readable sentence for anything a `LociClient` threw, naming the server where that is what failed. */
export function describeFailure(error: unknown, url: string): string {
  if (isAppError(error)) return error.message
  if (!(error instanceof Letta.APIError)) {
    // What fetch throws when a body breaks off ("terminated").
    const broken = error instanceof TypeError && error.cause !== undefined
    return broken ? `The connection to ${url} was lost: ${rootCause(error)}.` : messageOf(error)
  }
  if (error instanceof Letta.APIUserAbortError) return 'The request was cancelled.'
  if (error instanceof Letta.APIConnectionTimeoutError) return `The server at ${url} did not answer in time.`
  if (error instanceof Letta.APIConnectionError) {
    const certificate = certificateFault(error)
    if (certificate !== null) return `The certificate of the server at ${url} ${certificate}`
    return `No server answers at ${url}: ${rootCause(error)}. Start one with \`loci server\`, or check the URL.`
  }
  if (error.status === 401) return `The server at ${url} wants another token (401): ${detailOf(error)}`
  return detailOf(error)
}

/** The server's sentence: `detail` of a refused request, `message` of an error in a stream, whose detail is a code. */
function detailOf(error: InstanceType<typeof Letta.APIError>): string {
  const body: unknown = error.error
  if (typeof body !== 'object' || body === null) return error.message
  const { detail, message, message_type } = body as Record<string, unknown>
  const sentences = message_type === 'error_message' ? [message, detail] : [detail, message]
  return sentences.find((text): text is string => typeof text === 'string' && text !== '') ?? error.message
}

/** Codes of Node for certificates of an authority that it does not know. */
const UNKNOWN_AUTHORITY = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** What is wrong with the certificate of a server that does answer, and what to do; null when it is something else. */
function certificateFault(error: unknown): string | null {
  let at: unknown = error
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    const { code = '' } = at as NodeJS.ErrnoException
    const [reason = ''] = at.message.split(';')
    if (UNKNOWN_AUTHORITY.has(code))
      return `is not trusted here: ${reason}. Set NODE_EXTRA_CA_CERTS to a file (PEM) with the certificate of its authority, or with itself when it is self-signed.`
    if (/^(?:CERT_|ERR_TLS_CERT_)/.test(code)) return `cannot be used: ${at.message.replace(/\.$/, '')}.`
    at = at.cause
  }
  return null
}

/** Node's fetch hides the reason ("fetch failed") behind one or two causes, or in an AggregateError. */
function rootCause(error: unknown): string {
  let at: unknown = error
  let text = messageOf(error)
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    text = at.message || (at as { code?: string }).code || text
    at = at instanceof AggregateError ? at.errors[0] : at.cause
  }
  return text.replace(/\.$/, '')
}

function feedItem(name: string, data: string): FeedItem {
  const value: unknown = JSON.parse(data)
  if (name === 'ready') {
    const { id, reset } = value as { id?: unknown; reset?: unknown }
    return { type: 'ready', id: event.shape.id.parse(id), ...(reset === true ? { reset } : {}) }
  }
  return event.parse(value)
}

function baseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new AppError(
      'invalid_argument',
      `'${text}' is not a server URL: write it like http://127.0.0.1:8283.`,
    )
  }
  if (url.username || url.password) {
    throw new AppError(
      'invalid_argument',
      'A server URL cannot carry a user or password: give a token instead.',
    )
  }
  return (url.origin + url.pathname).replace(/\/+$/, '').replace(/\/v1$/, '')
}

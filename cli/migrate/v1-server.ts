import { setTimeout as pause } from 'node:timers/promises'
import { messageOf } from '../../shared/schema/errors.ts'
import { Failure } from '../failure.ts'

/** What another server answers: JSON that nobody has checked. */
export type Raw = Record<string, unknown>

/** Lists are repeated. */
export type Query = Record<string, string | number | boolean | readonly string[]>

export interface V1Options {
  url: string
  token: string | null
  /** How often a request is tried, and what is waited at first between two tries, in milliseconds; it doubles. */
  tries?: number
  pause_ms?: number
  /** How long nothing may come of an answer, in milliseconds. */
  idle_ms?: number
  /** Ends it: what is asked for then throws its reason, a `Failure`. */
  signal?: AbortSignal
}

/** Bytes of one answer: a page of a hundred long messages is far below it. */
const MAX_ANSWER = 256 * 1024 * 1024
/** A server may ask to wait for longer than anybody would. */
const MAX_PAUSE_MS = 60_000

/** An answer of this size is not read: ask for less. */
export class TooLarge extends Error {}

/** Nothing more came of an answer. */
class Stalled extends Error {}

/** A Letta V1 server, as it is read: with patience, and without trust. */
export class V1Server {
  readonly url: string
  readonly #token: string | null
  readonly #tries: number
  readonly #pause: number
  readonly #idle: number
  readonly #signal: AbortSignal | undefined
  /** Said once, when the server lets us wait for the first time. */
  onWait: (why: string) => void = () => undefined

  constructor({ url, token, tries = 8, pause_ms = 500, idle_ms = 60_000, signal }: V1Options) {
    this.url = baseOf(url)
    this.#token = token
    this.#tries = tries
    this.#pause = pause_ms
    this.#idle = idle_ms
    this.#signal = signal
  }

  /**
   * The JSON at a path; null when the server has none there (404, 405, 410, 422, 501). Waits and tries again on what may
   * pass. Throws a `Failure` that says what to do, and `TooLarge`.
   */
  async get(path: string, query: Query = {}): Promise<unknown> {
    const address = new URL(this.url + path)
    for (const [key, value] of Object.entries(query))
      for (const one of Array.isArray(value) ? value : [value]) address.searchParams.append(key, String(one))
    let why = ''
    for (let attempt = 0; attempt < this.#tries; attempt++) {
      this.#signal?.throwIfAborted()
      if (attempt > 0) this.onWait(why)
      try {
        const { status, headers, text } = await this.#fetch(address)
        if (status === 401 || status === 403) throw this.#refused(status)
        if ([404, 405, 410, 422, 501].includes(status)) return null
        if (status >= 200 && status < 300) {
          const value = parsed(text)
          if (value !== undefined) return value
          if (/^\s*</.test(text)) throw this.#noServer('a web page')
          why = `its answer to ${path} breaks off, or is no JSON`
          await this.#pauseFor(this.#waitFor(attempt, null))
          continue
        }
        if (status < 500 && status !== 408 && status !== 409 && status !== 429)
          throw new Failure(`${this.url} answers ${status} to GET ${path}: ${text.slice(0, 300)}`)
        why = `it answers ${status} to ${path}`
        await this.#pauseFor(this.#waitFor(attempt, headers.get('retry-after')))
      } catch (error) {
        if (error instanceof Failure || error instanceof TooLarge) throw error
        this.#signal?.throwIfAborted()
        why = reasonOf(error)
        if (why === 'bad port') throw this.#blocked(address.port)
        // The last try was the last.
        if (attempt + 1 < this.#tries) await this.#pauseFor(this.#waitFor(attempt, null))
      }
    }
    throw new Failure(
      `${this.url} cannot be read (${why}), also after ${this.#tries} tries. What has come is kept: run the same command again to go on.`,
    )
  }

  async #fetch(address: URL): Promise<{ status: number; headers: Headers; text: string }> {
    const stalled = new AbortController()
    let timer = setTimeout(() => stalled.abort(), this.#idle)
    const alive = () => {
      clearTimeout(timer)
      timer = setTimeout(() => stalled.abort(), this.#idle)
    }
    try {
      const response = await fetch(address, {
        signal: this.#signal ? AbortSignal.any([stalled.signal, this.#signal]) : stalled.signal,
        headers: {
          accept: 'application/json',
          // V1 takes a request of its own client for one of version 1.0 (reference 1.3).
          'user-agent': '@letta-ai/letta-client/1.12.1',
          'x-stainless-package-version': '1.12.1',
          ...(this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }),
        },
      })
      const pieces: Uint8Array[] = []
      let size = 0
      for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        alive()
        size += piece.length
        if (size > MAX_ANSWER) {
          stalled.abort()
          throw new TooLarge(`${address.pathname} answers with more than ${MAX_ANSWER / 1024 / 1024} MB`)
        }
        pieces.push(piece)
      }
      const { status, headers } = response
      return { status, headers, text: Buffer.concat(pieces).toString('utf8') }
    } catch (error) {
      if (stalled.signal.aborted && !(error instanceof TooLarge))
        throw new Stalled(`nothing came for ${this.#idle / 1000} seconds`, { cause: error })
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Throws the reason of the signal when it is told to stop. */
  async #pauseFor(ms: number): Promise<void> {
    await pause(ms, undefined, this.#signal ? { signal: this.#signal } : {}).catch((error: unknown) => {
      this.#signal?.throwIfAborted()
      throw error
    })
  }

  #waitFor(attempt: number, retry_after: string | null): number {
    const own = this.#pause * 2 ** attempt * (0.75 + Math.random() / 2)
    const asked = retry_after === null ? Number.NaN : Number(retry_after) * 1000
    return Math.min(MAX_PAUSE_MS, Number.isNaN(asked) ? own : Math.max(asked, 10))
  }

  #refused(status: number): Failure {
    return new Failure(
      this.#token === null
        ? `${this.url} wants a token (${status}). Set LETTA_API_KEY to it, or let it be asked for with --ask-token.`
        : `${this.url} refuses the token (${status}). It is the server's password, LETTA_SERVER_PASSWORD there.`,
    )
  }

  /** Ports of other protocols (https://fetch.spec.whatwg.org/#port-blocking). */
  #blocked(port: string): Failure {
    return new Failure(
      `${this.url} cannot be read: no program that follows the web's rules connects to port ${port}, which belongs to another protocol. Let the old server listen on another one, such as 8283.`,
    )
  }

  #noServer(sent: string): Failure {
    return new Failure(
      `What answers at ${this.url} is no Letta V1 server: it sends ${sent}. Check the address, as http://old-host:8283.`,
    )
  }

  /** Its version. Throws a `Failure` when nothing answers there, something else, or one that is too old. */
  async version(): Promise<string> {
    const answer = (await this.get('/v1/health/')) ?? (await this.get('/v1/health'))
    const { version } = (answer ?? {}) as Raw
    if (typeof version !== 'string') throw this.#noServer('no version at /v1/health/')
    const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? []
    if (major === '0' && Number(minor) >= 2 && Number(minor) < 6)
      throw new Failure(
        `${this.url} is Letta ${version.slice(0, 40)}, which is too old to be read: bring it to 0.6 or later first.`,
      )
    return version.slice(0, 40)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function baseOf(text: string): string {
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new Failure(`--from '${text}' is no address of a server: write it like http://old-host:8283.`)
  if (url.username !== '' || url.password !== '')
    throw new Failure('An address with a password in it is seen by others: set LETTA_API_KEY instead.')
  return (url.origin + url.pathname).replace(/\/+$/, '').replace(/\/v1$/, '')
}

/** Node's fetch hides the reason behind a cause or two. */
function reasonOf(error: unknown): string {
  if (error instanceof Stalled) return error.message
  let at = error
  let text = messageOf(error)
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    text = at.message || (at as { code?: string }).code || text
    at = at instanceof AggregateError ? at.errors[0] : at.cause
  }
  return text.replace(/\.$/, '')
}

import type { Socket } from 'node:net'
import { Client, type ClientConfig } from 'pg'
import type { AppError } from '../../schema/errors.ts'
import type { Patience } from '../sql/copy-side.ts'
import { unavailable } from '../sql/errors.ts'
import type { Answering } from './connection.ts'
import { asStoreError } from './errors.ts'

/** Without an answer for so long one asks on another connection what is the matter, in milliseconds. */
const SILENT_MS = 15_000
/** Who waits is told of it after a third of that. */
const TOLD_AFTER = 1 / 3
/** What one sends may take longer than what one hears: so many times. */
const SENDING = 6
/** How long that other connection may take, in milliseconds. */
const ASKING_MS = 10_000
/** No statement on a few thousand rows takes so long, in milliseconds; its process stands still. */
const LONGEST_MS = 600_000
/** The end of a connection that does not end is waited for this long, in milliseconds. */
const END_MS = 1_000

/** What is known of a connection whose answer does not come. */
type State =
  /** The server works on the statement, or is too busy to say. */
  | 'working'
  /** The server is there, and has not heard the question, or has answered it long ago. */
  | 'cut'
  /** It answers nobody. */
  | 'silent'

/**
 * A connection whose statements may take long, for a copy: as long as the server works on them they are waited for, and
 * once it does not, or answers nobody, they fail with a sentence. An abort ends it at once, whatever it waits for.
 */
export class WatchedClient implements Answering {
  /** Statements of now may take as long as they like. */
  patient = false
  readonly #client: Client
  readonly #socket: Socket
  readonly #config: ClientConfig
  readonly #place: string
  readonly #patience: Patience
  readonly #silentMs: number
  readonly #cut: () => void
  #pending = 0
  /** When something was asked, or heard, for the last time. */
  #heard = 0
  #bytes = 0
  #asked = 0
  #asking = false
  #timer: NodeJS.Timeout | null = null
  #problem: AppError | null = null

  /** The connection of `client` goes through `socket`, and was made with `config`. */
  constructor(
    { client, socket, config }: { client: Client; socket: Socket; config: ClientConfig },
    place: string,
    patience: Patience,
  ) {
    this.#client = client
    this.#socket = socket
    this.#config = config
    this.#place = place
    this.#patience = patience
    this.#silentMs = patience.silent_ms ?? SILENT_MS
    this.#cut = () => socket.destroy()
    patience.signal?.addEventListener('abort', this.#cut)
  }

  query(...[sent]: Parameters<Answering['query']>): ReturnType<Answering['query']> {
    return this.answered(this.#client.query(sent))
  }

  /** The answer to what was asked on this connection. Throws in words, and the reason of an abort. */
  async answered<T>(answer: Promise<T>): Promise<T> {
    if (this.#pending++ === 0) this.#watch()
    try {
      return await answer
    } catch (error) {
      this.#patience.signal?.throwIfAborted()
      throw this.#problem ?? asStoreError(error, this.#place)
    } finally {
      this.#heard = performance.now()
      if (--this.#pending === 0 && this.#timer) clearInterval(this.#timer)
    }
  }

  async close(): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, END_MS).unref())
    // One that is lost has ended.
    await Promise.race([this.#client.end().catch(() => undefined), late])
    this.#socket.destroy()
    this.#patience.signal?.removeEventListener('abort', this.#cut)
  }

  #watch(): void {
    this.#heard = this.#asked = performance.now()
    this.#timer = setInterval(() => void this.#look(), this.#silentMs / 10)
  }

  async #look(): Promise<void> {
    const now = performance.now()
    const bytes = this.#socket.bytesRead
    if (bytes !== this.#bytes) this.#heard = now
    this.#bytes = bytes
    const quiet = now - this.#heard
    if (quiet >= this.#silentMs * TOLD_AFTER)
      this.#patience.onWaiting?.(this.#place, Math.round(quiet / 1000))
    const enough = this.#silentMs * (this.#socket.writableLength > 0 ? SENDING : 1)
    if (quiet < enough || now - this.#asked < this.#silentMs || this.#asking) return
    this.#asking = true
    const heard = this.#heard
    const state = await this.#state()
    this.#asking = false
    this.#asked = performance.now()
    if (this.#pending === 0 || this.#heard !== heard) return
    if (state === 'working' && (this.patient || quiet < LONGEST_MS)) return
    const nothing = `The database ${this.#place} has answered nothing for ${Math.round(quiet / 1000)} seconds`
    this.#problem = unavailable(
      state === 'silent'
        ? `${nothing}, and nobody else: it stands still, or the way to it does. See whether its machine, its disk and the ` +
            'network work, and give the same command again.'
        : `${nothing} on this connection, though it is there: the connection was cut off, or its process stands still. Give ` +
            'the same command again.',
    )
    this.#socket.destroy()
  }

  async #state(): Promise<State> {
    const asking = new Client({
      ...this.#config,
      connectionTimeoutMillis: ASKING_MS,
      query_timeout: ASKING_MS,
    })
    asking.on('error', () => undefined)
    try {
      await asking.connect()
      const { rows } = await asking.query(
        "SELECT state = 'active' AND wait_event IS DISTINCT FROM 'ClientWrite' AS works FROM pg_stat_activity WHERE pid = $1",
        ['processID' in this.#client ? this.#client.processID : null],
      )
      return (rows as { works: boolean | null }[])[0]?.works === true ? 'working' : 'cut'
    } catch (error) {
      // It says no, which is an answer: there may be no connection left.
      return error instanceof Error && 'severity' in error ? 'working' : 'silent'
    } finally {
      void asking.end().catch(() => undefined)
    }
  }
}

import { EventEmitter, type Disposable } from 'vscode'
import type { LociClient } from '../../shared/client/http.ts'
import type { Event as Change } from '../../shared/schema/event.ts'
import { createBackoff } from './backoff.ts'
import { delay } from './delay.ts'
import { followEvents } from './event-feed.ts'
import { freePortFrom } from './server/free-port.ts'
import type { Tokens } from './server/tokens.ts'
import { startServerProcess, type ServerProcess } from './server-process.ts'
import type { ServerSettings } from './settings.ts'
import { t } from './l10n.ts'

export type ConnectionState =
  /** `asked` when the user stopped it: then nothing but a command starts it again. */
  | { kind: 'stopped'; asked: boolean }
  | { kind: 'starting'; message: string }
  /** `own` when this window started the server, `local` when it did so for others to use, too. */
  /** `polled`: it is a V1 server that is not Loci and tells no changes, so that it is read now and then. */
  | { kind: 'connected'; url: string; version: string; own: boolean; local: boolean; polled?: true }
  /** It was connected and is being tried again. */
  | { kind: 'lost'; url: string; message: string }
  /** `token` when the server wants another one. */
  | { kind: 'failed'; message: string; token: boolean }

/** Thrown where the workspace is not trusted: there nothing is started and nothing reached. */
export class UntrustedError extends Error {
  constructor() {
    super(
      t(
        'Agents and their tools act on your machine, so Loci does nothing in a workspace that is not trusted.',
      ),
    )
  }
}

export interface ConnectionOptions {
  script: string
  settings(): ServerSettings
  isTrusted(): boolean
  tokens: Tokens
  /** The environment of a server that we start. */
  environment: (token: string) => NodeJS.ProcessEnv
  log: {
    info(line: string): void
    warn(line: string): void
    error(line: string): void
    append(line: string): void
  }
}

/** A server that dies this often without staying up for `STABLE` is not started again by itself. */
const RESTARTS = 5
/** Milliseconds after which a server that is up counts as well. */
const STABLE = 60_000
/** How often a server is read that tells no changes, in milliseconds. */
const POLL = 30_000

/** One way to one server: its process when it is ours, its client and its feed. Nothing starts before `client()`. */
export class Connection implements Disposable {
  readonly #options: ConnectionOptions
  readonly #state = new EventEmitter<ConnectionState>()
  readonly #changes = new EventEmitter<Change[]>()
  readonly #stale = new EventEmitter<void>()
  readonly #restarts = createBackoff()
  readonly onDidChangeState = this.#state.event
  /** What changed on the server, by anyone, in bursts. */
  readonly onDidChangeData = this.#changes.event
  /** Changes may have been missed: read everything again. */
  readonly onDidMissChanges = this.#stale.event
  state: ConnectionState = { kind: 'stopped', asked: false }
  #opening: Promise<LociClient> | null = null
  #client: LociClient | null = null
  #process: ServerProcess | null = null
  /** Start our server where others find it. */
  #local = false
  #token: string | null = null
  readonly #told = new WeakSet()
  /** There was a connection before: who read from that one has missed changes. */
  #reconnecting = false
  /** Ends the feed and every wait of the present attempt. */
  #scope = new AbortController()

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** Process id of the server, when it is ours and runs. */
  get pid(): number | null {
    return this.#process?.pid ?? null
  }

  /** What the server wants to see from its clients; null while there is none, or it wants nothing. */
  get token(): string | null {
    return this.#token
  }

  /** The client, after starting or reaching the server when needed. Rejects when that fails; `state` says why, too. */
  client(): Promise<LociClient> {
    if (this.#client) return Promise.resolve(this.#client)
    if (!this.#options.isTrusted()) return Promise.reject(new UntrustedError())
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  /**
   * Starts our server where others find it: on the port of the settings, or the next that is free. One that runs on a
   * port of its own is restarted there.
   */
  async startLocal(): Promise<LociClient> {
    if (this.#local && this.#client) return this.#client
    if (this.#client || this.#opening) await this.stop()
    this.#local = true
    return this.client()
  }

  /** Stops the server when it is ours, and connects again, to the same place. */
  async restart(): Promise<LociClient> {
    const local = this.#local
    await this.stop()
    this.#local = local
    return this.client()
  }

  /** Ends the feed, the client and the server that we started; resolves when its process is gone. */
  async stop({ asked = false } = {}): Promise<void> {
    this.#scope.abort()
    await this.#opening?.catch(() => undefined)
    await this.#release()
    this.#restarts.reset()
    this.#local = false
    this.#become({ kind: 'stopped', asked })
  }

  /** Whether the user has been told of this error, by the state that it led to. */
  hasTold(error: unknown): boolean {
    return typeof error === 'object' && error !== null && this.#told.has(error)
  }

  /** A sentence for the user about anything that a client threw. */
  async describe(error: unknown): Promise<string> {
    const { describeFailure } = await import('../../shared/client/http.ts')
    return describeFailure(error, 'url' in this.state ? this.state.url : t('the server'))
  }

  dispose(): void {
    this.#scope.abort()
    this.#state.dispose()
    this.#changes.dispose()
    this.#stale.dispose()
  }

  async #open(): Promise<LociClient> {
    const settings = this.#options.settings()
    this.#scope = new AbortController()
    const { signal } = this.#scope
    let refused = false
    try {
      const own = settings.url === null
      this.#become({
        kind: 'starting',
        message: own ? t('Starting the server') : t('Connecting to {0}', settings.url),
      })
      const { tokens } = this.#options
      const token = own ? await this.#ownToken(settings) : await tokens.of(settings.url ?? '')
      const url = settings.url ?? (await this.#start(settings, token)).url
      // Loaded here, so that activation does not pay for the SDK.
      const { connect, describeFailure, refusalOf } = await import('../../shared/client/http.ts')
      const client = connect({ url, token })
      this.#token = token ?? null
      const { version } = await client
        .health({ signal })
        .then(async (health) => {
          // Health is answered without a token.
          await client.letta.agents.list({ limit: 1 }, { signal })
          return health
        })
        .catch((error: unknown) => {
          refused = refusalOf(error)?.status === 401
          throw new Error(hint(describeFailure(error, url), settings), { cause: error })
        })
      if (signal.aborted) throw new Error(t('The connection was closed.'))
      this.#client = client
      this.#options.log.info(`Connected to ${url} (version ${version}).`)
      await this.#follow(client, { kind: 'connected', url, version, own, local: own && this.#local })
      if (this.#reconnecting) this.#stale.fire()
      this.#reconnecting = true
      return client
    } catch (error) {
      await this.#release()
      const message = error instanceof Error ? error.message : String(error)
      if (!signal.aborted) this.#fail(message, refused)
      if (typeof error === 'object' && error !== null) this.#told.add(error)
      throw error
    }
  }

  async #ownToken({ requireToken }: ServerSettings): Promise<string | undefined> {
    return requireToken ? this.#options.tokens.own() : undefined
  }

  async #start(settings: ServerSettings, token: string | undefined): Promise<ServerProcess> {
    const { script, log, environment } = this.#options
    const started = Date.now()
    const server = await startServerProcess({
      script,
      dataDirectory: settings.dataDirectory,
      port: this.#local ? await freePortFrom(settings.port) : 0,
      auth: token !== undefined,
      env: environment(token ?? ''),
      signal: this.#scope.signal,
      log: (line) => log.append(line),
      died: (reason) => void this.#revive(reason, Date.now() - started),
    })
    log.info(`Started the server as process ${server.pid}.`)
    this.#process = server
    return server
  }

  /** Our server died: after a pause it is started again, a few times. */
  async #revive(reason: string, lived: number): Promise<void> {
    const { log } = this.#options
    this.#scope.abort()
    await this.#release()
    log.error(reason)
    if (lived > STABLE) this.#restarts.reset()
    if (this.#restarts.attempts >= RESTARTS)
      return this.#fail(t('{0} It was restarted {1} times.', reason, RESTARTS))
    this.#scope = new AbortController()
    const { signal } = this.#scope
    this.#become({ kind: 'starting', message: t('Restarting the server') })
    await delay(this.#restarts.next(), signal)
    if (signal.aborted) return
    await this.client().catch((error: unknown) => log.error(String(error)))
  }

  /** Resolves once the feed is there, or was refused for the first time: what is read after that misses no change. */
  #follow(client: LociClient, connected: ConnectionState & { kind: 'connected' }): Promise<void> {
    const { signal } = this.#scope
    return new Promise((resolve) => {
      let first = true
      const handlers = {
        ready: (resumed: boolean) => {
          this.#become(connected)
          if (!resumed && !first) this.#stale.fire()
          first = false
          resolve()
        },
        changed: (events: Change[]) => this.#changes.fire(events),
        lost: (error: unknown) => {
          first = false
          void this.#lose(error, connected.url, signal, resolve)
        },
        none: () => {
          this.#options.log.warn(
            `${connected.url} has no feed of changes: it is read every ${POLL / 1000} s.`,
          )
          this.#become({ ...connected, polled: true })
          const reading = setInterval(() => this.#stale.fire(), POLL)
          signal.addEventListener('abort', () => clearInterval(reading))
          resolve()
        },
      }
      void followEvents(client, handlers, { signal }).then(resolve)
    })
  }

  async #lose(error: unknown, url: string, signal: AbortSignal, told: () => void): Promise<void> {
    const message = await this.describe(error)
    if (!signal.aborted) {
      this.#options.log.warn(`Lost the event feed: ${message}`)
      this.#become({ kind: 'lost', url, message })
    }
    told()
  }

  async #release(): Promise<void> {
    const client = this.#client
    const server = this.#process
    this.#client = null
    this.#process = null
    this.#token = null
    await Promise.all([client?.close(), server?.stop()])
  }

  #fail(message: string, token = false): void {
    this.#options.log.error(message)
    this.#become({ kind: 'failed', message, token })
  }

  #become(state: ConnectionState): void {
    this.state = state
    this.#state.fire(state)
  }
}

function hint(message: string, settings: ServerSettings): string {
  return settings.url === null
    ? message
    : t('{0} The address comes from the setting loci.server.url.', message)
}

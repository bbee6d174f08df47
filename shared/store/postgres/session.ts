import { Socket } from 'node:net'
import { Client, type ClientConfig } from 'pg'
import { messageOf } from '../../schema/errors.ts'
import { pause } from '../pause.ts'
import { unavailable } from '../sql/errors.ts'
import type { ConnectionSettings } from './address.ts'
import { asStoreError } from './errors.ts'
import type { Route } from './pooler.ts'

/** How long after a lost connection a new one is tried, at first and at the most. */
const RETRY_MS = { first: 50, most: 2_000 }
const CHANNEL = 'loci_events'

/**
 * A statement without an answer, and an attempt to connect, are given up after this time, in milliseconds. Where no
 * connection stays a statement may wait for the pooler.
 */
const ANSWER_MS = { stays: 5_000, pooled: 10_000 }
/** Who needs the lock waits this long for it after it was lost, and then so long at least, in milliseconds. */
const HOLD_MS = { lost: 8_000, least: 1_000 }
/** How often it is looked whether a connection that was lost has let the lock go, in milliseconds. */
const FREED_MS = 10
/** A connection that cannot be had for so long is told of, in milliseconds. */
const NOTICE_MS = 3_000
/** The end of a connection that does not end is waited for this long, in milliseconds. */
const END_MS = 1_000

/** Ends the connections that have the lock; only such as this process has lost can, as the number is its own. */
const END_HOLDERS = `SELECT pg_terminate_backend(pid) FROM pg_locks
  WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = $1::bigint >> 32 AND objid::bigint = $1::bigint & 4294967295`

/**
 * The one connection of this process that stays: it hears of events, and holds the lock by which others know that this
 * process is there. When it is lost it comes back by itself, with both; `onWake` is called then, as events may have been
 * missed. Where none stays (`Route`) it is for heartbeats alone.
 */
export class Session {
  readonly stays: boolean
  readonly #place: string
  readonly #config: ClientConfig
  readonly #onWake: () => void
  readonly #onNotice: ((sentence: string) => void) | undefined
  #client: Promise<Client> | null = null
  /** The newest, which may not be connected yet. */
  #newest: { client: Client; socket: Socket } | null = null
  /** The lock that is wanted. */
  #lock: bigint | null = null
  /** The connection that has it. */
  #locked: Promise<Client> | null = null
  /** Those who wait for it. */
  #waiting: PromiseWithResolvers<void> | null = null
  #listens = false
  #returning = false
  /** Since when it has been away, what is in the way, and whether that was told of. */
  #away: { since: number; problem: unknown; told: boolean } | null = null
  /** Tries again now. */
  #hurry: () => void = () => undefined
  #closed = false

  constructor(
    settings: ConnectionSettings,
    route: Route,
    { onWake, onNotice }: { onWake: () => void; onNotice?: ((sentence: string) => void) | undefined },
  ) {
    this.stays = route.stays
    this.#place = settings.place
    this.#config = {
      ...settings.direct,
      application_name: 'loci events',
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      connectionTimeoutMillis: ANSWER_MS.stays,
      query_timeout: route.stays ? ANSWER_MS.stays : ANSWER_MS.pooled,
    }
    this.#onWake = onWake
    this.#onNotice = onNotice
  }

  /** Listens for events from now on. Resolves when it does; when it cannot yet, it will. */
  async listen(): Promise<void> {
    this.#listens = true
    try {
      await (await this.#connected()).query(`LISTEN ${CHANNEL}`)
    } catch (error) {
      this.#comeBack(error)
      throw error
    }
  }

  /**
   * Takes the advisory lock of this number, and again when its connection was lost; else again is the same as once. The
   * number is one that no other process takes. Throws `store_unavailable` when it cannot be had in some seconds; it is
   * still tried then.
   */
  async hold(lock: bigint): Promise<void> {
    if (this.#closed) throw new Error('the session is closed')
    this.#lock = lock
    if (this.#holds) return
    this.#comeBack(null)
    this.#hurry()
    const waiting = (this.#waiting ??= Promise.withResolvers<void>())
    const since = this.#away?.since ?? performance.now()
    const late = Promise.withResolvers<never>()
    const left = Math.max(HOLD_MS.least, since + HOLD_MS.lost - performance.now())
    const timer = setTimeout(() => late.reject(this.#trouble()), left)
    await Promise.race([waiting.promise, late.promise]).finally(() => clearTimeout(timer))
  }

  /** Throws `store_unavailable` while the lock is wanted and not held. */
  check(): void {
    if (this.#lock !== null && !this.#holds) throw this.#trouble()
  }

  /** Runs one statement, a transaction of its own. */
  async run(text: string, values: readonly unknown[]): Promise<void> {
    await (await this.#connected()).query({ text, values: [...values] })
  }

  /** Tells everybody who listens that there are new events. */
  async notify(): Promise<void> {
    await (await this.#connected()).query(`NOTIFY ${CHANNEL}`)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#hurry()
    this.#waiting?.reject(new Error('the session is closed'))
    this.#waiting = null
    if (!this.#newest) return
    const { client, socket } = this.#newest
    const late = new Promise<void>((resolve) => setTimeout(resolve, END_MS).unref())
    await Promise.race([client.end(), late])
    socket.destroy()
  }

  /** Whoever waits for it waits no more. */
  giveUp(): void {
    this.#waiting?.reject(this.#trouble())
    this.#waiting = null
    this.#newest?.socket.destroy()
  }

  get #holds(): boolean {
    return this.#locked !== null && this.#locked === this.#client
  }

  /** What is said of a connection that is away. */
  #trouble(): Error {
    const problem = this.#away?.problem ?? null
    const why =
      problem === null ? '' : ` (${messageOf(asStoreError(problem, this.#place)).replace(/\.$/, '')})`
    const until =
      this.#lock === null
        ? 'Until it is back changes are looked for every two seconds.'
        : 'Until it is back no turn begins here, as others would take this server for dead.'
    return unavailable(
      `The connection to the database ${this.#place} that stays (direct= in the address, where it names one) is lost and ` +
        `cannot be made again${why}. ${until}`,
      problem,
    )
  }

  #connected(): Promise<Client> {
    if (this.#closed) return Promise.reject(new Error('the session is closed'))
    if (this.#client) return this.#client
    const connecting = this.#connect()
    this.#client = connecting
    connecting.catch(() => {
      if (this.#client === connecting) this.#client = null
    })
    return connecting
  }

  async #connect(): Promise<Client> {
    const socket = new Socket()
    const client = new Client({ ...this.#config, stream: () => socket })
    this.#newest = { client, socket }
    client.on('notification', () => this.#onWake())
    let lives = false
    const lost = (error?: unknown) => {
      // Of one that never came to be, who asked for it hears.
      if (!lives) return
      lives = false
      this.#client = null
      if (this.#listens || this.#lock !== null) this.#comeBack(error ?? null)
    }
    client.on('error', lost)
    client.on('end', lost)
    try {
      await client.connect()
      lives = true
      if (this.#listens) {
        await client.query(`LISTEN ${CHANNEL}`)
        // What happened before it listened.
        this.#onWake()
      }
    } catch (error) {
      socket.destroy()
      throw error
    }
    return client
  }

  /** Once at a time. */
  #comeBack(problem: unknown): void {
    this.#away ??= { since: performance.now(), problem, told: false }
    if (this.#returning || this.#closed) return
    this.#returning = true
    void this.#tryAgain().finally(() => {
      this.#returning = false
    })
  }

  async #tryAgain(): Promise<void> {
    for (let wait = RETRY_MS.first; !this.#closed; wait = Math.min(wait * 2, RETRY_MS.most)) {
      const slept = Promise.withResolvers<void>()
      const timer = setTimeout(slept.resolve, wait)
      this.#hurry = slept.resolve
      await slept.promise.finally(() => clearTimeout(timer))
      try {
        const connected = this.#connected()
        const client = await connected
        if (this.#lock !== null && this.#locked !== connected) {
          await takeLock(client, this.#lock)
          this.#locked = connected
        }
        if (this.#client !== connected || (this.#lock !== null && !this.#holds)) continue
        this.#away = null
        this.#waiting?.resolve()
        this.#waiting = null
        return
      } catch (error) {
        if (this.#closed) return
        this.#failed(error)
      }
    }
  }

  /** Who looks is told why, and the operator once. */
  #failed(problem: unknown): void {
    const away = (this.#away ??= { since: performance.now(), problem, told: false })
    away.problem = problem
    if (away.told || performance.now() - away.since < NOTICE_MS) return
    away.told = true
    this.#onNotice?.(messageOf(this.#trouble()))
  }
}

/** A connection that was lost may have it as long as the server has not noticed: nobody waits for that. */
async function takeLock(client: Client, lock: bigint): Promise<void> {
  const values = [lock.toString()]
  for (const end = performance.now() + ANSWER_MS.stays; ; await pause(FREED_MS)) {
    const { rows } = await client.query('SELECT pg_try_advisory_lock($1) AS taken', values)
    if ((rows as { taken: boolean }[])[0]?.taken) return
    await client.query(END_HOLDERS, values)
    if (performance.now() > end) throw new Error('a connection that was lost keeps its lock')
  }
}

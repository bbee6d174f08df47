import { Client, type ClientConfig } from 'pg'
import { pause } from '../pause.ts'
import type { ConnectionSettings } from './address.ts'
import type { Route } from './pooler.ts'

/** How long after a lost connection a new one is tried, at first and at the most. */
const RETRY_MS = { first: 50, most: 2_000 }
const CHANNEL = 'loci_events'

/** Where no connection stays, a statement without an answer is given up after this time, in milliseconds. */
const ANSWER_MS = 10_000

/**
 * The one connection of this process that stays: it hears of events, and holds the lock by which others know that this
 * process is there. When it is lost it comes back by itself, with both; `onWake` is called then, as events may have been
 * missed. Where none stays (`Route`) it is for heartbeats alone.
 */
export class Session {
  readonly stays: boolean
  readonly #config: ClientConfig
  readonly #onWake: () => void
  #client: Promise<Client> | null = null
  #lock: bigint | null = null
  /** The connection that has it. */
  #locked: Promise<Client> | null = null
  #listens = false
  #returning = false
  #closed = false

  constructor(settings: ConnectionSettings, route: Route, onWake: () => void) {
    this.stays = route.stays
    this.#config = {
      ...settings.direct,
      application_name: 'loci events',
      keepAlive: true,
      ...(route.stays ? {} : { query_timeout: ANSWER_MS }),
    }
    this.#onWake = onWake
  }

  /** Listens for events from now on. Resolves when it does; when it cannot yet, it will. */
  async listen(): Promise<void> {
    this.#listens = true
    try {
      await (await this.#connected()).query(`LISTEN ${CHANNEL}`)
    } catch (error) {
      this.#comeBack()
      throw error
    }
  }

  /** Takes the advisory lock of this number, and again when its connection was lost; else again is the same as once. */
  async hold(lock: bigint): Promise<void> {
    const connected = this.#connected()
    if (this.#lock === lock && this.#locked === connected) return
    await (await connected).query('SELECT pg_advisory_lock($1)', [lock.toString()])
    this.#lock = lock
    this.#locked = connected
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
    const client = await this.#client?.catch(() => null)
    await client?.end()
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
    const client = new Client(this.#config)
    client.on('notification', () => this.#onWake())
    let lives = false
    const lost = () => {
      // Of one that never came to be, who asked for it hears.
      if (!lives) return
      lives = false
      this.#client = null
      if (this.#listens || this.#lock !== null) this.#comeBack()
    }
    client.on('error', lost)
    client.on('end', lost)
    await client.connect()
    lives = true
    if (this.#listens) {
      await client.query(`LISTEN ${CHANNEL}`)
      // What happened before it listened.
      this.#onWake()
    }
    return client
  }

  /** Once at a time. */
  #comeBack(): void {
    if (this.#returning) return
    this.#returning = true
    void this.#tryAgain().finally(() => {
      this.#returning = false
    })
  }

  async #tryAgain(): Promise<void> {
    for (let wait = RETRY_MS.first; !this.#closed; wait = Math.min(wait * 2, RETRY_MS.most)) {
      await pause(wait)
      try {
        const client = await this.#connected()
        if (this.#lock !== null) await client.query('SELECT pg_advisory_lock($1)', [this.#lock.toString()])
        if (this.#client !== null) return
      } catch {
        // The database is still away: who asks it something is told so.
      }
    }
  }
}

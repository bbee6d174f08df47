import { Client } from 'pg'
import { pause } from '../pause.ts'
import type { ConnectionSettings } from './address.ts'

/** How long after a lost connection a new one is tried, at first and at the most. */
const RETRY_MS = { first: 50, most: 2_000 }
const CHANNEL = 'loci_events'

/**
 * The one connection of this process that stays: it hears of events, and holds the lock by which others know that this
 * process is there. When it is lost it comes back by itself, with both; `onWake` is called then, as events may have been
 * missed. Not for PgBouncer in transaction mode: give it a direct address, or none (`?listen=off`).
 */
export class Session {
  readonly #settings: ConnectionSettings
  readonly #onWake: () => void
  #client: Promise<Client> | null = null
  #lock: bigint | null = null
  #wanted = false
  #closed = false

  constructor(settings: ConnectionSettings, onWake: () => void) {
    this.#settings = settings
    this.#onWake = onWake
  }

  /** Listens for events from now on. Resolves when it does. */
  async listen(): Promise<void> {
    this.#wanted = true
    await (await this.#connected()).query(`LISTEN ${CHANNEL}`)
  }

  /** Takes the advisory lock of this number; again is the same as once. */
  async hold(lock: bigint): Promise<void> {
    if (this.#lock === lock) return
    await (await this.#connected()).query('SELECT pg_advisory_lock($1)', [lock.toString()])
    this.#lock = lock
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
    const client = new Client({ ...this.#settings.direct, application_name: 'loci events', keepAlive: true })
    client.on('notification', () => this.#onWake())
    let lives = false
    const lost = () => {
      // Of one that never came to be, who asked for it hears.
      if (!lives) return
      lives = false
      this.#client = null
      if (!this.#closed && (this.#wanted || this.#lock !== null)) void this.#comeBack()
    }
    client.on('error', lost)
    client.on('end', lost)
    await client.connect()
    lives = true
    return client
  }

  async #comeBack(): Promise<void> {
    for (let wait = RETRY_MS.first; !this.#closed; wait = Math.min(wait * 2, RETRY_MS.most)) {
      await pause(wait)
      try {
        const client = await this.#connected()
        if (this.#lock !== null) await client.query('SELECT pg_advisory_lock($1)', [this.#lock.toString()])
        if (this.#wanted) await client.query(`LISTEN ${CHANNEL}`)
        this.#onWake()
        return
      } catch {
        // The database is still away: who asks it something is told so.
      }
    }
  }
}

import { Socket } from 'node:net'
import { sql } from 'kysely'
import { Client, type ClientConfig, Pool, type PoolClient } from 'pg'
import { isAppError } from '../../schema/errors.ts'
import { pause } from '../pause.ts'
import type { Committed, Connection, Database, Transaction, WriteOptions } from '../sql/database.ts'
import { unavailable } from '../sql/errors.ts'
import { query, db } from '../sql/query.ts'
import { type ConnectionSettings, readAddress } from './address.ts'
import { PostgresConnection, PostgresTransaction } from './connection.ts'
import { DatabaseClock } from './clock.ts'
import {
  asConnectError,
  asOpenError,
  asStoreError,
  isConflict,
  isDuplicate,
  isFull,
  isLost,
  isNotLetIn,
  isRefused,
  isMisplaced,
  isUnanswered,
  poolerExhausted,
  poolExhausted,
} from './errors.ts'
import { EventFeed } from './event-feed.ts'
import { migrate, type Migration, MIGRATIONS, newerStore, newerStoreBy } from './migrate.ts'
import { adviceAbout, isThroughPooler, type Route } from './pooler.ts'
import { Session } from './session.ts'
import { refreshStatistics } from './statistics.ts'
import { typeParsers } from './values.ts'

/** How long a command that is hurried is tried again while the database is away. */
const HURRIED_MS = 1_000
/** A database that has answered nothing for so long when all has to end is not waited for, in milliseconds. */
const SILENT_MS = 2_000
/** How often it is looked for that. */
const LOOK_MS = 250
/** How often a duplicate is taken for another transaction that was faster. */
const DUPLICATES = 10
/** What has not begun by then meets a database that stands still, in milliseconds. */
const BEGIN_MS = 10_000
/** A database that lets nobody in by then is not there, in milliseconds. */
const LETS_IN_MS = 2_000
/** Connections that nobody has used for this time are closed. */
const IDLE_MS = 60_000

const theirNow = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::float8`

/** The oldest schema that may write, the time, and the number by which the fate of a transaction can be asked for later. */
const beginning = query<object>()(() =>
  db
    .selectFrom('meta')
    .select([
      'value',
      sql<string>`pg_current_xact_id()::text`.as('xid'),
      sql<string>`pg_postmaster_start_time()::text`.as('started'),
      theirNow.as('now'),
    ])
    .where('key', '=', 'oldest_writer'),
)
const fateOf = query<{ xid: string }>()(
  (p) => sql<{ status: string | null; started: string }>`select pg_postmaster_start_time()::text as started,
    case when ${p.xid}::xid8 < pg_snapshot_xmax(pg_current_snapshot()) then pg_xact_status(${p.xid}::xid8)
      else 'unknown' end as status`,
)
const oldestWriter = query<object>()(() =>
  db
    .selectFrom('meta')
    .select([
      'value',
      theirNow.as('now'),
      sql<string | null>`(select value from meta where key = 'loci_version')`.as('version'),
    ])
    .where('key', '=', 'oldest_writer'),
)

export interface DatabaseOptions {
  address: string
  /** Version written beside the schema, for the message that an older process shows. */
  version: string
  migrations?: readonly Migration[]
  /** Milliseconds that a command is tried again; by default what the address says. */
  deadline_ms?: number
  onWrite?: ((timing: { commit_ms: number; flush_ms: number }) => void) | undefined
  /** Hears in a sentence what the operator may want to set up in another way. */
  onNotice?: ((sentence: string) => void) | undefined
}

/** What a transaction is known by when its connection is lost. */
interface Mark {
  xid: string
  /** When the server was started that gave it. */
  started: string
}

/**
 * A database of PostgreSQL. Every command is one SERIALIZABLE transaction: the queries that the engines share read what
 * they decide on, and this makes that as good as a single writer; one that PostgreSQL refuses for it runs again. A
 * guarded one is REPEATABLE READ: it writes the row it decides on, which is enough (docs/decisions/0017).
 */
export class PostgresDatabase implements Database {
  readonly engine = 'postgres'
  readonly place: string
  readonly session: Session
  readonly #pool: Pool
  readonly #settings: ConnectionSettings
  readonly #schema: number
  readonly #deadline: number
  readonly #onWrite: DatabaseOptions['onWrite']
  readonly #onNotice: DatabaseOptions['onNotice']
  readonly #feed: EventFeed
  /** The last write that failed found no room; see `WriteProbe`. */
  full = false
  lostAt = -Infinity
  /** What keeps commands waiting now; null once one has succeeded. */
  problem: unknown = null
  readonly #clock = new DatabaseClock()
  /** What each transaction begins with besides, where a connection cannot be told for good. */
  readonly #limits: string
  /** Whether a transaction may have to wait for a connection of the server. */
  readonly #pooler: boolean
  /** A transaction that has not begun by then does not: it waits for no lock. In milliseconds. */
  readonly #begin_ms: number
  #prepares: boolean
  #closed = false
  /** The sockets of the pool's connections. */
  readonly #sockets = new Set<Socket>()
  /** When the database must be there at the latest, by `performance.now()`. */
  #end = Infinity
  #ending: NodeJS.Timeout | null = null
  /** When a command last succeeded, or the first of those that wait now began. */
  #answered = performance.now()
  /** Commands under way. */
  #waiting = 0
  #asking: Promise<boolean> | null = null
  /** Nothing is asked any more. */
  #given_up = false

  /** `route` is how its connections get there. */
  constructor(settings: ConnectionSettings, options: DatabaseOptions, route: Route) {
    this.place = settings.place
    this.#settings = settings
    this.#schema = (options.migrations ?? MIGRATIONS).length
    this.#deadline = options.deadline_ms ?? settings.retry_ms
    this.#onWrite = options.onWrite
    this.#onNotice = options.onNotice
    this.#prepares = settings.prepares ?? !route.pooler
    this.#pooler = route.pooler
    this.#begin_ms = route.pooler ? settings.pool_wait_ms : BEGIN_MS
    const limits = Object.entries(settings.limits)
    this.#limits = route.pooler ? limits.map(([name, ms]) => `; SET LOCAL ${name} = ${ms}`).join('') : ''
    this.#pool = new Pool({
      ...settings.pooled,
      stream: () => this.#socket(),
      // A pooler refuses what it cannot keep for a client.
      ...(route.pooler ? {} : settings.limits),
      types: typeParsers,
      max: settings.pool_size,
      connectionTimeoutMillis: settings.pool_wait_ms,
      idleTimeoutMillis: IDLE_MS,
      allowExitOnIdle: true,
      application_name: 'loci',
    })
    // A connection that is lost: whoever uses it hears of it from its statement, and the pool makes another.
    this.#pool.on('error', () => undefined)
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
    this.session = new Session(settings, route, {
      onWake: () => this.#feed.heard(),
      onNotice: options.onNotice,
    })
    this.#feed = new EventFeed(this, route.stays ? this.session : null)
  }

  get closed(): boolean {
    return this.#closed
  }

  read<T>(work: (connection: Connection) => T | Promise<T>): Promise<T> {
    return this.#trying(async () => {
      const client = await this.#client()
      const connection = new PostgresConnection(client, this.#prepares)
      try {
        connection.control(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY${this.#limits}`, this.#begin_ms)
        const value = await work(connection)
        connection.control('COMMIT')
        connection.end()
        // Nobody has to wait for the end of a read.
        void connection.settle().then(
          () => client.release(),
          (error: unknown) => client.release(error instanceof Error ? error : true),
        )
        return value
      } catch (error) {
        connection.end()
        await this.#rollBack(client, error)
        throw error
      }
    })
  }

  async write<T>(
    work: (transaction: Transaction) => T | Promise<T>,
    { guarded = false, claims = false, hurried = false }: WriteOptions = {},
  ): Promise<T> {
    return await this.#trying(async () => {
      const client = await this.#client()
      const tx = new PostgresTransaction(client, this.#prepares)
      const began = performance.now()
      let sent: { value: T; mark: Mark; at: number } | null = null
      try {
        // Two that are SERIALIZABLE would meet in the pages of an index, also where they take different rows.
        const level = claims ? 'READ COMMITTED' : guarded ? 'REPEATABLE READ' : 'SERIALIZABLE'
        const begin_ms = hurried ? Math.min(HURRIED_MS, this.#begin_ms) : this.#begin_ms
        tx.control(`BEGIN ISOLATION LEVEL ${level}${this.#limits}`, begin_ms)
        const asked = performance.now()
        const begun = beginning.get(tx, {})
        // Waited for below, and not at all when the work has failed before.
        begun.then(
          (mark) => mark && this.#clock.heard(mark.now, performance.now() - asked),
          () => undefined,
        )
        const value = await work(tx)
        const mark = await begun
        if (!mark || Number(mark.value) > this.#schema) {
          // Another connection may not be free; what was sent before may have failed for the same reason.
          await client.query('ROLLBACK')
          throw await newerStore(client, this.place)
        }
        tx.takeEffect()
        tx.control('COMMIT')
        tx.end()
        sent = { value, mark, at: performance.now() }
        await tx.settle()
        client.release()
      } catch (error) {
        tx.end()
        let failure: unknown = error
        let committed = false
        try {
          committed =
            sent !== null && isLost(error) && !isRefused(error) && (await this.#isCommitted(sent.mark, error))
        } catch (unknown) {
          failure = unknown
        }
        if (!sent || !committed) {
          tx.undo()
          await this.#rollBack(client, failure)
          throw failure
        }
        client.release(true)
      }
      tx.committed()
      this.#onWrite?.({ commit_ms: sent.at - began, flush_ms: performance.now() - sent.at })
      if (tx.events > 0) this.#feed.committed()
      return sent.value
    }, hurried)
  }

  /**
   * The connection was lost while a transaction was committed: whether it was. Throws `store_unavailable` when nobody can
   * tell: a server that has crashed since may have given the number to another transaction.
   */
  async #isCommitted({ xid, started }: Mark, lost: unknown): Promise<boolean> {
    const end = Math.min(performance.now() + this.#deadline, this.#end)
    while (performance.now() < end) {
      try {
        const fate = await this.read((c) => fateOf.get(c, { xid }))
        if (fate?.status === 'committed' && fate.started !== started) break
        if (fate?.status !== 'in progress') return fate?.status === 'committed'
      } catch (error) {
        if (!isAppError(error, 'store_unavailable')) throw error
      }
      await pause(50)
    }
    throw unavailable(
      `The connection to the database ${this.place} was lost while a change was saved, and whether it was cannot be told. ` +
        'Look before you try again.',
      lost,
    )
  }

  /** A commit of PostgreSQL is on disk when it is acknowledged. */
  async writeEarly<T>(
    work: (transaction: Transaction) => T | Promise<T>,
    options?: WriteOptions,
  ): Promise<Committed<T>> {
    return { value: await this.write(work, options), durable: Promise.resolve() }
  }

  follow(listener: (problem: unknown) => void): () => void {
    return this.#feed.follow(listener)
  }

  /** Its indexes keep themselves. */
  async mergeIndexes(): Promise<void> {}

  refreshStatistics(conversation_id: string, messages: number): Promise<void> {
    return this.write((tx) => refreshStatistics(tx, conversation_id, messages))
  }

  /**
   * One statement on a connection of its own, in no transaction and without limits, for what takes minutes. It keeps no
   * process alive.
   */
  async alone(text: string): Promise<void> {
    // Its types do not know of `unref`.
    const client: Client & { unref?(): void } = new Client(this.#settings.direct)
    client.on('error', () => undefined)
    await client.connect()
    client.unref?.()
    try {
      await client.query(text)
    } finally {
      await client.end()
    }
  }

  now(): Date {
    return this.#clock.now()
  }

  /** Throws `store_unavailable` or `store_newer` when a command would. */
  async check(): Promise<void> {
    const asked = performance.now()
    const row = await this.read((c) => oldestWriter.get(c, {}))
    if (row) this.#clock.heard(row.now, performance.now() - asked)
    if (!row || Number(row.value) > this.#schema) throw newerStoreBy(row?.version ?? null, this.place)
  }

  /**
   * This process ends: a database that is away then is waited for so many milliseconds, and some moments, and no longer.
   * One that answers is.
   */
  hurry(ms: number): void {
    this.#end = Math.min(this.#end, performance.now() + ms + HURRIED_MS)
    this.#ending ??= setInterval(() => {
      const now = performance.now()
      if (now > this.#end && this.#waiting > 0 && now - this.#answered > SILENT_MS) this.#giveUp()
    }, LOOK_MS).unref()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#feed.close()
    const late = setTimeout(() => this.#giveUp(), SILENT_MS)
    await this.session.close()
    await this.#pool.end().finally(() => clearTimeout(late))
    if (this.#ending) clearInterval(this.#ending)
  }

  #socket(): Socket {
    const socket = new Socket()
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }

  /** What is asked now has no answer. */
  #giveUp(): void {
    this.#given_up = true
    this.session.giveUp()
    for (const socket of this.#sockets) socket.destroy()
  }

  async #client(): Promise<PoolClient> {
    if (this.#closed)
      throw unavailable(`The database ${this.place} is closed: this store has been shut down.`)
    if (this.#given_up) throw unavailable(`The database ${this.place} does not answer, and this server ends.`)
    const began = performance.now()
    try {
      return await this.#pool.connect()
    } catch (error) {
      if (!(error instanceof Error) || !/timeout exceeded when trying to connect/i.test(error.message))
        throw asConnectError(error, this.place)
      const { pool_size: size, pool_wait_ms: waited_ms } = this.#settings
      const answered = this.#answered > began || (await this.#isLetIn())
      throw poolExhausted(this.place, { size, waited_ms, answered }, error)
    }
  }

  /** Whether the database answers somebody who comes anew, be it with a refusal. */
  #isLetIn(): Promise<boolean> {
    this.#asking ??= isLetIn(this.#settings).finally(() => (this.#asking = null))
    return this.#asking
  }

  /** Gives a connection back that is in no transaction, or closes it: one of no use is not met again. */
  async #rollBack(client: PoolClient, error: unknown): Promise<void> {
    if (isLost(error)) return client.release(true)
    try {
      await client.query('ROLLBACK')
      client.release()
    } catch (error) {
      client.release(error instanceof Error ? error : true)
    }
  }

  /** Tries again what met another transaction, or lost its connection before anything was committed. */
  async #trying<T>(attempt: () => Promise<T>, hurried = false): Promise<T> {
    if (this.#waiting++ === 0) this.#answered = performance.now()
    try {
      return await this.#tryAgain(attempt, hurried)
    } finally {
      this.#waiting--
    }
  }

  async #tryAgain<T>(attempt: () => Promise<T>, hurried: boolean): Promise<T> {
    const began = performance.now()
    for (let tries = 0; ; tries++) {
      try {
        const value = await attempt()
        this.problem = null
        this.#answered = performance.now()
        return value
      } catch (error) {
        if (this.#pooler && isUnanswered(error))
          throw poolerExhausted(this.place, this.#settings.pool_wait_ms, error)
        const lost = isLost(error)
        const again =
          isConflict(error) || lost || this.#isMisplaced(error) || (isDuplicate(error) && tries < DUPLICATES)
        if (isFull(error)) this.full = true
        if (lost) this.lostAt = performance.now()
        const patience = hurried && lost ? HURRIED_MS : this.#deadline
        const until = lost ? Math.min(began + patience, this.#end) : began + patience
        if (!again || this.#closed || performance.now() > until) throw asStoreError(error, this.place)
        if (!isConflict(error)) this.problem = asStoreError(error, this.place)
      }
      await pause(1 + Math.random() * Math.min(2 ** tries, 100))
    }
  }

  /** The pooler does not follow what is prepared by name: from now on nothing is. */
  #isMisplaced(error: unknown): boolean {
    if (!isMisplaced(error)) return false
    if (this.#prepares)
      this.#onNotice?.(
        `The pooler before the database ${this.place} does not follow prepared statements, so none are used: set its ` +
          'max_prepared_statements (PgBouncer 1.21 or newer), or prepare=off in the address.',
      )
    this.#prepares = false
    return true
  }
}

/** Connects, and migrates the database. Throws `store_unavailable` or `store_newer`. */
export async function openDatabase(options: DatabaseOptions): Promise<PostgresDatabase> {
  const settings = readAddress(options.address)
  try {
    const direct = await on(settings.direct, settings.direct_place, async (client) => {
      await migrate(client, { ...options, place: settings.place })
      return { pooler: await isThroughPooler(client) }
    })
    const same = settings.direct.connectionString === settings.pooled.connectionString
    const pooled = same
      ? direct
      : await on(settings.pooled, settings.place, async (client) => ({
          pooler: await isThroughPooler(client),
        }))
    const route = { pooler: pooled.pooler, stays: settings.stays && !direct.pooler }
    const advice = adviceAbout(settings, { direct: direct.pooler, same })
    if (advice !== null) options.onNotice?.(advice)
    return new PostgresDatabase(settings, options, route)
  } catch (error) {
    throw asStoreError(error, settings.place)
  }
}

async function isLetIn(settings: ConnectionSettings): Promise<boolean> {
  const client = new Client({ ...settings.pooled, connectionTimeoutMillis: LETS_IN_MS })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return true
  } catch (error) {
    return !isNotLetIn(error)
  } finally {
    // One that answers nothing does not answer this either.
    void client.end().catch(() => undefined)
  }
}

async function on<T>(config: ClientConfig, place: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await connectTo(config, place)
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** Throws `store_unavailable`. */
async function connectTo(config: ClientConfig, place: string): Promise<Client> {
  try {
    const client = new Client(config)
    // Who waits for an answer hears of it.
    client.on('error', () => undefined)
    await client.connect()
    return client
  } catch (error) {
    throw asOpenError(error, place)
  }
}

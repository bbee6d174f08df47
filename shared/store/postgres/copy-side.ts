import { Socket } from 'node:net'
import { sql } from 'kysely'
import { Client } from 'pg'
import { AppError } from '../../schema/errors.ts'
import { pause } from '../pause.ts'
import type { CopiedTable } from '../sql/copied-tables.ts'
import type { Row, Value } from '../sql/copy-rows.ts'
import {
  type CopySide,
  type CopyTarget,
  type IndexedText,
  ontoItself,
  type Patience,
  type Purpose,
} from '../sql/copy-side.ts'
import { unavailable } from '../sql/errors.ts'
import { indexedTexts } from '../sql/full-text.ts'
import { readAddress } from './address.ts'
import { PostgresConnection } from './connection.ts'
import { openDatabase } from './database.ts'
import { asOpenError, asStoreError, isNotLetIn } from './errors.ts'
import { MIGRATIONS, newerStore } from './migrate.ts'
import { makePartitions } from './partitions.ts'
import { hasPgVector, indexVectors, MOST_INDEXED } from './pgvector.ts'
import { isThroughPooler } from './pooler.ts'
import { KEY } from './shared-key.ts'
import { outgoing, typeParsers } from './values.ts'
import { WatchedClient } from './watched-client.ts'

/** What copies call themselves; servers are 'loci' and 'loci events'. */
const NAME = 'loci copy'
/** How long one waits for connections that are just ending, in milliseconds. */
const WAIT_MS = 5_000
/** A database that does not answer by then is one that cannot be used, in milliseconds. */
const CONNECT_MS = 10_000
/** What nobody has said anything on for so long is asked whether it is there, in milliseconds. */
const KEEP_ALIVE_MS = 10_000
/** A table may take long, and the other side too. That we were cut off is noticed in half a minute. */
const SETTINGS = `SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET tcp_keepalives_idle = 10;
  SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4`
/** It is noticed in the middle of a statement, too. */
const CHECKING = 'SET client_connection_check_interval = 2000'
/** The advisory lock of a copy: 'copy' in ASCII. */
const LOCK = 0x636f7079

/**
 * A database as the source of a copy, or as one of two that are compared, as it is at this moment: what others write
 * meanwhile is not seen, and nothing is made that is not there. Throws `not_found`, `conflict` while a server uses it,
 * `store_unavailable`, `store_newer`.
 */
export async function openSource(address: string, { todo, other, ...patience }: Purpose): Promise<CopySide> {
  return await connect(address, patience, async (client, place) => {
    const identity = await identityOf(client)
    if (identity === other) throw ontoItself(place)
    await refuseForeign(client, place)
    const { rows } = await client.query("SELECT to_regclass('meta') IS NOT NULL AS there")
    if (!(rows as { there: boolean }[])[0]?.there)
      throw new AppError(
        'not_found',
        `There is nothing to ${todo}: the database ${place} holds no Loci data.`,
      )
    await refuseOtherSchema(client, place, todo)
    await refuseUsed(client, place, todo)
    if (!(await isTrue(client, `SELECT pg_try_advisory_lock_shared(${LOCK}) AS yes`)))
      throw new AppError(
        'conflict',
        `Something is being copied into the database ${place}. Wait for its end.`,
      )
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const pgvector = await isTrue(
      client,
      "SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'vectors' AND column_name = 'embedding') AS yes",
    )
    return new PostgresSide(client, { place, identity, pgvector })
  })
}

/**
 * A database as the target of a copy: its tables are made when they are missing. Throws `conflict` while a server or
 * another copy uses it, `store_unavailable`, `store_newer`.
 */
export async function openTarget(
  address: string,
  { version, source, ...patience }: { version: string; source: string | null } & Patience,
): Promise<CopyTarget> {
  return await connect(address, patience, async (client, place) => {
    const identity = await identityOf(client)
    if (identity === source) throw ontoItself(place)
    await refuseForeign(client, place)
    await refuseUsed(client, place, 'copy')
    // A copy that was killed keeps it until the server has noticed.
    for (const end = performance.now() + WAIT_MS; ; await pause(50)) {
      if (await isTrue(client, `SELECT pg_try_advisory_lock(${LOCK}) AS yes`)) break
      if (performance.now() > end)
        throw new AppError(
          'conflict',
          `Another copy from or into the database ${place} is under way. Wait for its end; of one that was cut off the ` +
            'database knows half a minute later.',
        )
    }
    const database = await openDatabase({ address, version })
    try {
      return new PostgresSide(client, { place, identity, pgvector: await hasPgVector(database) })
    } finally {
      await database.close()
    }
  })
}

/** Connects, and stays connected unless `work` fails. */
async function connect<T>(
  address: string,
  patience: Patience,
  work: (client: WatchedClient, place: string) => Promise<T>,
): Promise<T> {
  const { signal } = patience
  signal?.throwIfAborted()
  const { direct, direct_place: place } = readAddress(address)
  const config = {
    ...direct,
    connectionTimeoutMillis: CONNECT_MS,
    application_name: NAME,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  }
  const socket = new Socket()
  let watched: WatchedClient | null = null
  try {
    const client = new Client({ ...config, stream: () => socket, types: typeParsers })
    watched = new WatchedClient({ client, socket, config }, place, patience)
    // Whoever asks it something hears that it is lost.
    client.on('error', () => undefined)
    await client.connect().catch((error: unknown) => {
      throw isNotLetIn(error) ? error : asOpenError(error, place)
    })
    if (await watched.answered(isThroughPooler(client)))
      throw unavailable(
        `The database ${place} is reached through a pooler, and a copy needs a connection that stays: add direct=host:port ` +
          'of the database itself to its address.',
      )
    await watched.query(SETTINGS)
    // PostgreSQL 13, and some systems, have it not: there a statement goes on to its end.
    await watched.query(CHECKING).catch(() => signal?.throwIfAborted())
    return await work(watched, place)
  } catch (error) {
    // Why it ends counts, and not that it had ended.
    await watched?.close()
    signal?.throwIfAborted()
    if (error instanceof Error && /^timeout expired|connection timeout/.test(error.message))
      throw unavailable(
        `The database ${place} has not answered in ${CONNECT_MS / 1000} seconds. Look at it and the network, and try again.`,
        error,
      )
    throw asStoreError(error, place)
  }
}

async function isTrue(client: WatchedClient, text: string): Promise<boolean> {
  const { rows } = await client.query(text)
  return (rows as { yes: boolean }[])[0]?.yes === true
}

/** The server, by when it was started, and the database in it. */
async function identityOf(client: WatchedClient): Promise<string> {
  const { rows } = await client.query(
    "SELECT concat_ws(' ', pg_postmaster_start_time(), oid, datname) AS identity FROM pg_database WHERE datname = current_database()",
  )
  return (rows as { identity: string }[])[0]?.identity ?? ''
}

/** Tables of the names of ours that another program has made. */
async function refuseForeign(client: WatchedClient, place: string): Promise<void> {
  const foreign = await isTrue(
    client,
    "SELECT to_regclass('meta') IS NULL AND coalesce(to_regclass('agents'), to_regclass('messages')) IS NOT NULL AS yes",
  )
  if (foreign)
    throw unavailable(
      `The database ${place} has tables of another program ('agents' or 'messages'). Give Loci a database of its own.`,
    )
}

async function refuseOtherSchema(client: WatchedClient, place: string, todo: Purpose['todo']): Promise<void> {
  const { rows } = await client.query("SELECT value FROM meta WHERE key = 'schema_version'")
  const version = Number((rows as { value: string }[])[0]?.value ?? 0)
  if (version > MIGRATIONS.length) throw await newerStore(client, place)
  if (version < MIGRATIONS.length)
    throw unavailable(
      `The database ${place} is of an older Loci. Start this one on it once (loci server), stop it, and ${todo} then.`,
    )
}

/** Waits a little for connections of servers to end. */
async function refuseUsed(client: WatchedClient, place: string, todo: Purpose['todo']): Promise<void> {
  for (const end = performance.now() + WAIT_MS; ; await pause(50)) {
    const { rows } = await client.query(
      `SELECT coalesce(client_addr::text, 'this machine') AS host, count(*) AS n FROM pg_stat_activity
       WHERE datname = current_database() AND (application_name = 'loci events' OR application_name = 'loci'
         -- Servers close what they have not used for a minute; a pooler keeps it.
         AND (state <> 'idle' OR state_change > now() - interval '65 seconds')) GROUP BY 1 ORDER BY 1`,
    )
    if (rows.length === 0) return
    if (performance.now() < end) continue
    const hosts = (rows as { host: string; n: number }[]).map(({ host, n }) => `${host} (connections: ${n})`)
    throw new AppError(
      'conflict',
      `The database ${place} is in use by Loci servers on ${hosts.join(', ')}. Stop them, then ${todo} again (behind a pooler, a minute later).`,
    )
  }
}

class PostgresSide implements CopyTarget {
  readonly place: string
  readonly identity: string
  readonly pgvector: boolean
  readonly connection: PostgresConnection
  readonly #client: WatchedClient

  constructor(
    client: WatchedClient,
    { place, identity, pgvector }: Pick<CopyTarget, 'place' | 'identity' | 'pgvector'>,
  ) {
    this.#client = client
    this.place = place
    this.identity = identity
    this.pgvector = pgvector
    this.connection = new PostgresConnection(client, true)
  }

  async numbers(tables: readonly CopiedTable[]): Promise<Record<string, number>> {
    const numbers: Record<string, number> = {}
    for (const { name, numbered } of tables) {
      if (numbered === null) continue
      const sequence = await this.#sequenceOf(name, numbered)
      const row = await this.connection.get<{ last: number }>(
        sql`select greatest((select case when is_called then last_value else 0 end from ${sql.raw(sequence)}),
          (select coalesce(max(${sql.ref(numbered)}), 0) from ${sql.table(name)})) as last`,
      )
      numbers[name] = row?.last ?? 0
    }
    return numbers
  }

  async setNumbers(tables: readonly CopiedTable[], numbers: Record<string, number>): Promise<void> {
    for (const { name, numbered } of tables) {
      const last = numbers[name]
      if (numbered === null || last === undefined) continue
      const sequence = await this.#sequenceOf(name, numbered)
      await this.connection.get(
        sql`select setval(${sequence}::regclass, ${Math.max(1, last)}::bigint, ${last > 0}::boolean)`,
      )
    }
    // For what is numbered so far there is a place then.
    await makePartitions(this.connection)
  }

  async write(work: () => Promise<void>): Promise<void> {
    try {
      this.connection.control('BEGIN')
      await work()
      this.connection.control('COMMIT')
      await this.connection.settle()
    } catch (error) {
      throw asStoreError(error, this.place)
    }
  }

  async insert(table: string, columns: readonly string[], rows: readonly Row[]): Promise<void> {
    const names = sql.join(columns.map((name) => sql.ref(name)))
    const records = escaped(
      JSON.stringify(
        rows.map((row) => Object.fromEntries(columns.map((name) => [name, inJson(row[name] ?? null)]))),
      ),
    )
    await this.connection.send(
      sql`insert into ${sql.table(table)} (${names})
        select ${names} from json_populate_recordset(null::${sql.table(table)}, ${records}::json)`,
    )
  }

  async index(index: 'messages_fts' | 'passages_fts', texts: readonly IndexedText[]): Promise<void> {
    if (texts.length > 0) await this.connection.send(indexedTexts(index, texts))
  }

  async setKey(key_id: string | null): Promise<void> {
    await this.connection.run(sql`delete from meta where key = ${KEY}`)
    if (key_id !== null)
      await this.connection.run(sql`insert into meta (key, value) values (${KEY}, ${key_id})`)
  }

  async complete(): Promise<void> {
    // The index of many vectors takes hours.
    this.#client.patient = true
    if (this.pgvector) {
      const dims = await this.connection.all<{ dim: number }>(
        sql`select distinct vector_dims(embedding) as dim from vectors where embedding is not null`,
      )
      for (const { dim } of dims) if (dim <= MOST_INDEXED) await indexVectors(this.connection, dim)
    }
    await this.connection.run(sql`analyze`)
    this.#client.patient = false
  }

  async empty(tables: readonly string[]): Promise<void> {
    await this.write(async () => {
      await this.connection.run(
        sql`truncate ${sql.join([...tables, 'messages_fts', 'passages_fts', 'upload_chunks'].map((name) => sql.table(name)))}
          restart identity cascade`,
      )
    })
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  async #sequenceOf(table: string, column: string): Promise<string> {
    const query = sql<{ name: string }>`select pg_get_serial_sequence(${table}, ${column}) as name`
    const row = await this.connection.get(query)
    if (!row) throw new Error(`${table}.${column} has no sequence`)
    return row.name
  }
}

/** What stands for NUL is in there already: it is not to be taken for a text that has it of its own (values.ts). */
function escaped(json: string): string {
  return json.replaceAll(/\uDB80[\uDC00-\uDFFF]/g, (one) =>
    one
      .split('')
      .map((half) => `\\u${half.charCodeAt(0).toString(16)}`)
      .join(''),
  )
}

/** A value in JSON that PostgreSQL reads. */
function inJson(value: Value): unknown {
  return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : outgoing(value)
}

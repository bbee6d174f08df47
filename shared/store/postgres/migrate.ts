import type { ClientBase } from 'pg'
import { AppError, messageOf } from '../../schema/errors.ts'
import { pause } from '../pause.ts'
import { unavailable } from '../sql/errors.ts'
import type { Answering } from './connection.ts'
import { isConflict, isLockTimeout } from './errors.ts'
import { first } from './migrations/0001-first.ts'
import { beforePartitions, partitions, withoutPartitions } from './migrations/0002-partitions.ts'
import { requests } from './migrations/0003-requests.ts'

/** A step of the schema. */
export interface Migration {
  sql: string
  /**
   * Whether a Loci that does not know it can go on writing, so that servers are replaced one after the other: it adds, or
   * moves what the queries do not see. One that changes or removes what older queries name is not.
   */
  compatible: boolean
  /**
   * What takes long and is done before, each in a transaction of its own, where the tables are there: while others write,
   * and so that it can be done again. `undo` is done when the migration fails after all.
   */
  prepared?: { steps: readonly string[]; undo: string }
}

/** The migrations in order; `meta` counts those that a database has. Released ones are never changed. */
export const MIGRATIONS: readonly Migration[] = [
  { sql: first, compatible: false },
  {
    sql: partitions,
    compatible: true,
    prepared: { steps: beforePartitions, undo: withoutPartitions },
  },
  { sql: requests, compatible: true },
]

/** The advisory lock of whoever migrates: 'loci' in ASCII. */
const LOCK = 0x6c6f6369
/**
 * How long a statement waits for a lock: whoever wants the table then waits behind it. After that they have their turn for
 * a while, and it is tried again, until the deadline.
 */
const LOCK_WAIT_MS = 250
const PAUSE_MS = 500
const DEADLINE_MS = 60_000
/** A process that is cut off in the middle is not waited for longer. */
const IDLE_MS = 10_000

/** The error of a process that is older than its database. */
export async function newerStore(client: Answering, place: string): Promise<AppError> {
  const { rows } = await client.query("SELECT value FROM meta WHERE key = 'loci_version'")
  return newerStoreBy((rows as { value: string }[])[0]?.value ?? null, place)
}

/** The same, where it is known which Loci has updated it. */
export function newerStoreBy(version: string | null, place: string): AppError {
  return new AppError(
    'store_newer',
    `The database ${place} was updated by ${version === null ? 'a newer Loci' : `Loci ${version}`}; restart this ` +
      'process, with that version or a newer one.',
  )
}

/**
 * Brings the database to the newest schema; other processes that would wait for it. Each migration is one transaction, and
 * a new database is made in one. A newer schema that can be written by this process is left as it is. Throws
 * `store_newer`, `store_unavailable` when others hold the tables for `deadline_ms`, and what PostgreSQL says.
 */
export async function migrate(
  client: ClientBase,
  {
    place,
    version,
    migrations = MIGRATIONS,
    deadline_ms = DEADLINE_MS,
  }: { place: string; version: string; migrations?: readonly Migration[]; deadline_ms?: number },
): Promise<void> {
  await refuseUnfit(client, place)
  const end = performance.now() + deadline_ms
  /** Tries what others are in the way of again. */
  const apply = async (from: number, sql: readonly string[], to: number): Promise<void> => {
    for (;;) {
      try {
        await transaction(client, async () => {
          // Meanwhile another process may have done it.
          if ((await versionOf(client, place)).now !== from) return
          await client.query(`SET LOCAL lock_timeout = ${LOCK_WAIT_MS}`)
          for (const text of sql) await client.query(text)
          if (to === from) return
          await setMeta(client, {
            schema_version: String(to),
            oldest_writer: String(oldestWriter(migrations.slice(0, to))),
            loci_version: version,
          })
        })
        return
      } catch (error) {
        if (!isLockTimeout(error) && !isConflict(error)) throw error
        if (performance.now() > end) throw await inUse(client, place, deadline_ms, error)
      }
      await pause(PAUSE_MS * (0.5 + Math.random()))
    }
  }
  for (;;) {
    const { now, oldest } = await versionOf(client, place)
    if (oldest > migrations.length) throw await newerStore(client, place)
    const next = migrations[now]
    if (!next) return
    if (now === 0) {
      await apply(
        0,
        migrations.map(({ sql }) => sql),
        migrations.length,
      ).catch((error: unknown) => {
        throw isTaken(error) ? foreign(place, error) : error
      })
      continue
    }
    try {
      for (const step of next.prepared?.steps ?? []) await apply(now, [step], now)
      await apply(now, [next.sql], now + 1)
    } catch (error) {
      // As far as that is still possible: the next process begins anew in any case.
      if (next.prepared) await apply(now, [next.prepared.undo], now).catch(() => undefined)
      throw error
    }
  }
}

/** One of a time in all processes. */
async function transaction(client: ClientBase, work: () => Promise<void>): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(`SET LOCAL idle_in_transaction_session_timeout = ${IDLE_MS}`)
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
    await work()
    await client.query('COMMIT')
  } catch (error) {
    // A connection that is lost says so in `error`.
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** What a database answers whose tables are never free. */
async function inUse(
  client: ClientBase,
  place: string,
  waited_ms: number,
  cause: unknown,
): Promise<AppError> {
  const { rows } = await client.query(
    `SELECT pid, coalesce(nullif(application_name, ''), usename, backend_type) AS name FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
     ORDER BY xact_start LIMIT 1`,
  )
  const [oldest] = rows as { pid: number; name: string }[]
  return unavailable(
    `The database ${place} could not be updated: others have held its tables for ${waited_ms / 1000} seconds` +
      `${oldest ? `, the longest of them process ${oldest.pid} (${oldest.name})` : ''}. Nothing was changed. Wait for it ` +
      'to end, or end it, and start Loci again.',
    cause,
  )
}

/** The oldest PostgreSQL that has what is asked of it. */
const OLDEST = 13

/** Throws `store_unavailable` for a server or a database that cannot hold a store. */
export async function refuseUnfit(client: ClientBase, place: string): Promise<void> {
  const { rows } = await client.query(
    "SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('server_encoding') AS encoding",
  )
  const [found] = rows as { major: number; encoding: string }[]
  if (found && found.major < OLDEST)
    throw unavailable(
      `The database ${place} is of PostgreSQL ${found.major}; Loci needs ${OLDEST} or newer. Update the server.`,
    )
  if (found && found.encoding !== 'UTF8')
    throw unavailable(
      `The database ${place} is encoded in ${found.encoding}, which cannot hold every text. Make one in UTF-8: ` +
        'createdb --encoding=UTF8 --template=template0 NAME.',
    )
}

/** A name that the first schema wants is there: of another program's table, type or text search. */
function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^42(?:P07|710|701)$/.test(String(error.code))
}

/** A table has the name of ours, and other columns. */
function isUnlike(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^42(?:703|883|804)$/.test(String(error.code))
}

function foreign(place: string, cause?: unknown): AppError {
  return unavailable(
    `The database ${place} has tables of another program in it (${cause === undefined ? 'meta is not ours' : messageOf(cause)}). ` +
      'Nothing was changed. Give Loci a database of its own: createdb NAME.',
    cause,
  )
}

/** The oldest schema whose processes can write to a database that has all of these. */
function oldestWriter(migrations: readonly Migration[]): number {
  return migrations.findLastIndex(({ compatible }) => !compatible) + 1
}

async function setMeta(client: ClientBase, values: Record<string, string>): Promise<void> {
  for (const [key, value] of Object.entries(values))
    await client.query(
      'INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      [key, value],
    )
}

/** How far a database is migrated, and which schema a process must know to write to it; 0 for a new one. */
export async function versionOf(client: ClientBase, place: string): Promise<{ now: number; oldest: number }> {
  const { rows: tables } = await client.query("SELECT to_regclass('meta') IS NOT NULL AS there")
  if (!(tables as { there: boolean }[])[0]?.there) return { now: 0, oldest: 0 }
  const { rows } = await client
    .query("SELECT key, value FROM meta WHERE key IN ('schema_version', 'oldest_writer')")
    .catch((error: unknown) => {
      throw isUnlike(error) ? foreign(place, error) : error
    })
  const values = new Map(
    (rows as { key: string; value: string }[]).map(({ key, value }) => [key, Number(value)]),
  )
  if (!values.has('schema_version')) throw foreign(place)
  return { now: values.get('schema_version') ?? 0, oldest: values.get('oldest_writer') ?? 0 }
}

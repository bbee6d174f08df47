import type { ClientBase } from 'pg'
import { AppError, messageOf } from '../../schema/errors.ts'
import { unavailable } from '../sql/errors.ts'
import { first } from './migrations/0001-first.ts'

/** A step of the schema. */
export interface Migration {
  sql: string
  /**
   * Whether a Loci that does not know it can go on writing, so that servers are replaced one after the other: it adds, or
   * moves what the queries do not see. One that changes or removes what older queries name is not.
   */
  compatible: boolean
}

/** The migrations in order; `meta` counts those that a database has. Released ones are never changed. */
export const MIGRATIONS: readonly Migration[] = [{ sql: first, compatible: false }]

/** The advisory lock of whoever migrates: 'loci' in ASCII. */
const LOCK = 0x6c6f6369

/** The error of a process that is older than its database. */
export async function newerStore(client: ClientBase, place: string): Promise<AppError> {
  const { rows } = await client.query("SELECT value FROM meta WHERE key = 'loci_version'")
  const [row] = rows as { value: string }[]
  return new AppError(
    'store_newer',
    `The database ${place} was updated by ${row ? `Loci ${row.value}` : 'a newer Loci'}; restart this process, with that ` +
      'version or a newer one.',
  )
}

/**
 * Brings the database to the newest schema, in one transaction that other processes wait for. A newer one that can be
 * written by this process is left as it is. Throws `store_newer`, and what PostgreSQL says.
 */
export async function migrate(
  client: ClientBase,
  {
    place,
    version,
    migrations = MIGRATIONS,
  }: { place: string; version: string; migrations?: readonly Migration[] },
): Promise<void> {
  await refuseUnfit(client, place)
  if ((await versionOf(client, place)).now === migrations.length) return
  await client.query('BEGIN')
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
    const from = await versionOf(client, place)
    if (from.oldest > migrations.length) throw await newerStore(client, place)
    if (from.now < migrations.length) {
      for (const { sql } of migrations.slice(from.now)) await client.query(sql)
      await setMeta(client, {
        schema_version: String(migrations.length),
        oldest_writer: String(oldestWriter(migrations)),
        loci_version: version,
      })
    }
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw isTaken(error) ? foreign(place, error) : error
  }
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

import type { ClientBase } from 'pg'
import { AppError } from '../../schema/errors.ts'
import { first } from './migrations/0001-first.ts'

/** The migrations in order; `meta` counts those that a database has. Released ones are never changed. */
export const MIGRATIONS: readonly string[] = [first]

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
 * Brings the database to the newest schema, in one transaction that other processes wait for. Throws `store_newer`, and
 * what PostgreSQL says.
 */
export async function migrate(
  client: ClientBase,
  {
    place,
    version,
    migrations = MIGRATIONS,
  }: { place: string; version: string; migrations?: readonly string[] },
): Promise<void> {
  if ((await versionOf(client)) === migrations.length) return
  await client.query('BEGIN')
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
    const from = await versionOf(client)
    if (from > migrations.length) throw await newerStore(client, place)
    for (const migration of migrations.slice(from)) await client.query(migration)
    for (const [key, value] of [
      ['schema_version', String(migrations.length)],
      ['loci_version', version],
    ])
      await client.query(
        'INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
        [key, value],
      )
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
}

/** How far a database is migrated; 0 for a new one. */
async function versionOf(client: ClientBase): Promise<number> {
  const { rows: tables } = await client.query("SELECT to_regclass('meta') IS NOT NULL AS there")
  if (!(tables as { there: boolean }[])[0]?.there) return 0
  const { rows } = await client.query("SELECT value FROM meta WHERE key = 'schema_version'")
  return Number((rows as { value: string }[])[0]?.value ?? 0)
}

import { join } from 'node:path'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { AppError } from '../../schema/errors.ts'
import { first } from './migrations/0001-first.ts'
import { requests } from './migrations/0002-requests.ts'
import { makePrivate } from './private-file.ts'

/** The migrations in order; `user_version` of a database counts those it has. Released ones are never changed. */
export const MIGRATIONS: readonly string[] = [first, requests]

const BACKUPS_KEPT = 3

/** How far a database is migrated; 0 for a new one. */
export function schemaVersion(database: DatabaseSync): number {
  const row = database.prepare('PRAGMA user_version').get()
  return Number(row?.['user_version'] ?? 0)
}

/** The error of a process that is older than its data directory. */
export function newerStore(database: DatabaseSync, directory: string): AppError {
  const row = database.prepare("SELECT value FROM meta WHERE key = 'loci_version'").get()
  const by = row ? `Loci ${String(row['value'])}` : 'a newer Loci'
  return new AppError(
    'store_newer',
    `The data directory ${directory} was updated by ${by}; restart this process, with that version or a newer one.`,
  )
}

/**
 * Brings the database to the newest schema in one transaction that other processes wait for. An existing one is
 * copied to `backups/` first, while the lock keeps every writer out; the newest three copies stay.
 * Throws `store_newer`, and SQLite's busy error when another process holds the lock.
 */
export function migrate(
  database: DatabaseSync,
  reader: DatabaseSync,
  options: { directory: string; version: string; migrations: readonly string[] },
): void {
  const { directory, version, migrations } = options
  if (schemaVersion(database) === migrations.length) return
  database.exec('BEGIN IMMEDIATE')
  try {
    const from = schemaVersion(database)
    if (from > migrations.length) throw newerStore(database, directory)
    if (from > 0 && from < migrations.length) backup(reader, directory, from)
    for (const migration of migrations.slice(from)) database.exec(migration)
    if (from < migrations.length) {
      database.exec(`PRAGMA user_version = ${migrations.length}`)
      database
        .prepare(
          'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
        )
        .run('loci_version', version)
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function backup(reader: DatabaseSync, directory: string, from: number): void {
  const backups = join(directory, 'backups')
  mkdirSync(backups, { recursive: true, mode: 0o700 })
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-')
  const copy = join(backups, `${stamp}-schema-${from}.db`)
  // An empty file is taken over with its rights.
  makePrivate(copy)
  reader.prepare('VACUUM INTO ?').run(copy)
  const copies = readdirSync(backups)
    .filter((name) => /^\d{4}-.*-schema-\d+\.db$/.test(name))
    .sort()
  for (const name of copies.slice(0, -BACKUPS_KEPT)) rmSync(join(backups, name))
}

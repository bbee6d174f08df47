import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { pause } from '../pause.ts'
import { unavailable } from '../sql/errors.ts'

/** How long another process may take from making the file to writing into it, in milliseconds. */
const BEGINNING_MS = 2_000
const LOOK_MS = 25

/**
 * Throws `store_unavailable` when `loci.db` is there and empty although backups were made of it: something emptied it, and
 * to begin with nothing would hide that.
 */
export async function refuseEmptied(directory: string): Promise<void> {
  const path = join(directory, 'loci.db')
  for (const end = performance.now() + BEGINNING_MS; performance.now() < end; await pause(LOOK_MS)) {
    if (statSync(path, { throwIfNoEntry: false })?.size !== 0 || newestBackup(directory) === null) return
  }
  throw unavailable(
    `${path} is empty (0 bytes), but there are backups of it. To go back to the newest: ` +
      `loci restore "${newestBackup(directory)}". To begin anew without what was there: remove the empty file.`,
  )
}

function newestBackup(directory: string): string | null {
  const backups = join(directory, 'backups')
  if (!statSync(backups, { throwIfNoEntry: false })?.isDirectory()) return null
  const copies = readdirSync(backups).filter((name) => name.endsWith('.db'))
  const times = copies.map((name) => ({ name, time: statSync(join(backups, name)).mtimeMs }))
  const [newest] = times.sort((a, b) => b.time - a.time)
  return newest ? join(backups, newest.name) : null
}

/** Throws `store_unavailable` for a database that holds the tables of another program; nothing of it is changed. */
export function refuseForeign(database: DatabaseSync, path: string): void {
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
  if (tables.length === 0 || tables.some((row) => row['name'] === 'meta')) return
  const names = tables.map((row) => `'${String(row['name'])}'`)
  const shown = names.length > 3 ? [...names.slice(0, 3), '…'] : names
  throw unavailable(
    `${path} is an SQLite database, but of another program (it has the tables ${shown.join(', ')}). It was left as it ` +
      'is. Name another data directory with --data or LOCI_HOME, or move the file away.',
  )
}

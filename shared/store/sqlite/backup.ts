import { existsSync, promises as fs } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { AppError, messageOf } from '../../schema/errors.ts'
import { unavailable } from '../sql/errors.ts'
import { asStoreError } from './errors.ts'
import { schemaVersion } from './migrate.ts'

/** Pages copied in one go: progress is shown, and the caller can stop, between two. */
const PAGES_AT_ONCE = 2_000

/** What a copy of a store holds. */
export interface StoreCopy {
  /** Absolute path of the file. */
  path: string
  bytes: number
  /** Migrations it has. */
  schema: number
  /** Rows of each table. */
  rows: Record<string, number>
}

export interface CopyOptions {
  /** Hears of each part that is done: a share from 0 to 1 of `phase`. */
  onProgress?: (phase: 'copying' | 'verifying', share: number) => void
  signal?: AbortSignal
}

/**
 * Copies the store of a data directory, as it is at this moment, into one file, while other processes go on writing:
 * everything acknowledged before the call is in it. The copy is read back and checked before it gets its name; mode
 * 0600. Default: a new file in `backups/`. Throws `not_found` when there is no store, `conflict` when `file` exists,
 * `store_unavailable` when the store is damaged or the disk full; nothing is left behind then.
 */
export async function backUp(
  options: { directory: string; file?: string | undefined } & CopyOptions,
): Promise<StoreCopy> {
  const source = join(options.directory, 'loci.db')
  const file = resolve(options.file ?? join(options.directory, 'backups', `${timeStamp()}.db`))
  if (!existsSync(source)) {
    throw new AppError(
      'not_found',
      `There is nothing to back up: ${options.directory} holds no Loci data (no loci.db). Name another directory with --data.`,
    )
  }
  if (existsSync(file)) {
    throw new AppError('conflict', `${file} exists already and was left alone. Give another name.`)
  }
  if (options.file !== undefined && !existsSync(dirname(file))) {
    const text = `There is no folder ${dirname(file)} for the backup. Make it first, or name another.`
    throw new AppError('not_found', text)
  }
  const draft = `${file}.${process.pid}.tmp`
  try {
    await fs.mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const rows = await copyPages(source, draft, options)
    const copy = await verifyStore(draft, options, source)
    const lost = Object.entries(rows).find(([table, count]) => copy.rows[table] !== count)
    if (lost) throw unavailable(`The copy of ${source} lacks rows of table ${lost[0]}; it was not kept.`)
    await syncFile(draft)
    // Unlike a rename, this fails when somebody made the file meanwhile.
    await fs.link(draft, file).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') throw error
      await fs.rename(draft, file)
    })
    await syncDirectory(dirname(file))
    return { ...copy, path: file }
  } catch (error) {
    throw asStoreError(error, file)
  } finally {
    for (const suffix of ['', '-journal', '-wal', '-shm']) await fs.rm(draft + suffix, { force: true })
  }
}

/** Copies the pages of one moment; answers the rows each table had then. */
async function copyPages(source: string, draft: string, options: CopyOptions) {
  await fs.writeFile(draft, '', { flag: 'wx', mode: 0o600 })
  const database = new DatabaseSync(source, { timeout: 5_000 })
  try {
    database.exec('PRAGMA query_only = ON; BEGIN')
    // This read pins the moment: without it every commit of another process would begin the copy again.
    const rows = countRows(database)
    await backup(database, draft, {
      rate: PAGES_AT_ONCE,
      progress({ totalPages, remainingPages }) {
        options.signal?.throwIfAborted()
        options.onProgress?.('copying', 1 - remainingPages / Math.max(1, totalPages))
      },
    })
    options.onProgress?.('copying', 1)
    return rows
  } catch (error) {
    options.signal?.throwIfAborted()
    throw asStoreError(error, source)
  } finally {
    database.close()
  }
}

/**
 * Reads a copy from end to end: that it is a store of Loci, whole, and what it holds. Makes it one file without a log.
 * Throws `invalid_argument` for another kind of file, `store_unavailable` for a damaged one, under the name `shown`.
 */
export async function verifyStore(path: string, options: CopyOptions = {}, shown = path): Promise<StoreCopy> {
  options.onProgress?.('verifying', 0)
  const database = openCopy(path, shown)
  try {
    const problems = database.prepare('PRAGMA integrity_check(5)').all()
    const found = problems.map((row) => String(row['integrity_check'])).filter((text) => text !== 'ok')
    if (found.length > 0) throw damaged(shown, found.join('; '))
    const rows = countRows(database)
    if (!('meta' in rows && 'agents' in rows && 'messages' in rows)) {
      throw new AppError('invalid_argument', `${shown} is an SQLite database, but not a store of Loci.`)
    }
    const schema = schemaVersion(database)
    options.onProgress?.('verifying', 1)
    database.close()
    return { path, bytes: (await fs.stat(path)).size, schema, rows }
  } catch (error) {
    throw resultOf(error, shown)
  } finally {
    if (database.isOpen) database.close()
  }
}

function openCopy(path: string, shown: string): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 1_000 })
    database.exec('PRAGMA journal_mode = DELETE')
    return database
  } catch (error) {
    database?.close()
    throw resultOf(error, shown)
  }
}

function resultOf(error: unknown, path: string): unknown {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : null
  if (code === 11) return damaged(path, messageOf(error))
  if (code === 26) return new AppError('invalid_argument', `${path} is not an SQLite database.`)
  return asStoreError(error, path)
}

function damaged(path: string, what: string): AppError {
  return unavailable(`${path} is damaged (${what.replace(/\s+/g, ' ')}). Use another copy.`)
}

function countRows(database: DatabaseSync): Record<string, number> {
  const tables = database
    .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name")
    .all()
    .map((row) => String(row['name']))
    .filter((name) => !name.startsWith('sqlite_'))
  return Object.fromEntries(
    tables.map((name) => {
      const quoted = `"${name.replaceAll('"', '""')}"`
      return [name, Number(database.prepare(`SELECT count(*) AS n FROM ${quoted}`).get()?.['n'])]
    }),
  )
}

/** A name that sorts by time, for files: `2026-11-21T22-04-35-120Z`. */
export function timeStamp(): string {
  return new Date().toISOString().replaceAll(/[:.]/g, '-')
}

/** What was written to the file is on disk when this resolves. */
export async function syncFile(path: string): Promise<void> {
  const file = await fs.open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** New names in the directory are on disk when this resolves; Windows cannot promise it. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await fs.open(path)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

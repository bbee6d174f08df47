import { promises as fs } from 'node:fs'
import { join, resolve } from 'node:path'
import { sql } from 'kysely'
import type { UploadStore } from '../core/ports/upload-store.ts'
import { AppError } from '../schema/errors.ts'
import type { Places, Uploads } from './copied-uploads.ts'
import { KEY_FILE, SecretBox, type SecretKeys } from './secret-box.ts'
import type { Difference, Uncompared } from './sql/compare-rows.ts'
import { opens, SEALED_TABLES } from './sql/copied-secrets.ts'
import type { CopiedTable } from './sql/copied-tables.ts'
import { batchesOf, countOf } from './sql/copy-rows.ts'
import type { CopySide, CopyTarget, Patience, Purpose } from './sql/copy-side.ts'
import { refuseUnfinishedCopy } from './sql/unfinished-copy.ts'
import { copiedTables, isFile } from './sqlite/copy-side.ts'
import { FolderUploads } from './uploads/folder-uploads.ts'

export interface CopyOptions extends Patience {
  /** A data directory, or `postgres://…`. */
  from: string
  to: string
  /** The data directory of this machine, where the key and the uploads of a database are. */
  data: string
  /** What secrets are encrypted with in the target, and in the source unless that has one of its own. */
  encryption_key: string | null
  source_encryption_key: string | null
  /** Secrets that no key here opens are copied as they are; else they are refused. */
  keep_sealed?: boolean
  /** Give up what an unfinished copy has brought, and begin anew. */
  restart?: boolean
  allow_network_fs?: boolean
  version: string
  /** Hears how many rows of a table are done, of so many. */
  onProgress?: (phase: 'copying' | 'verifying', table: string, rows: number, of: number) => void
  /** Hears of what takes longer, and is not a table. */
  onStage?: (text: string) => void
}

/** What a copy, or its verification, has found. */
export interface CopyReport {
  from: string
  to: string
  /** Rows of each table of the source. */
  rows: Record<string, number>
  /** Rows that this call has copied; the others were there from an earlier one. */
  copied: number
  /** Encrypted values, and those of them that no key here opens. */
  secrets: { opened: number; sealed: number; missing_keys: string[] }
  /** What the secrets of the copy are encrypted with; null when there are none, or no one key is known. */
  key: CopyKey | null
  /** Uploads of files that have not been read yet; null when nothing was copied. */
  uploads: Uploads | null
  /** Empty when every row is the same in both. */
  differences: Difference[]
  /** Secrets that could not be compared: their keys are not here. */
  uncompared: Uncompared
}

/** The key that servers of a copy need. */
export interface CopyKey {
  /** Names it; says nothing about it. */
  id: string
  /** Where this copy took it from: LOCI_ENCRYPTION_KEY, or the path of a file; null for one that is not here. */
  from: string | null
}

export interface Sides<Target extends CopySide = CopySide> {
  source: CopySide
  target: Target
  tables: readonly CopiedTable[]
  keys: { source: SecretKeys; target: SecretKeys }
  counts: Record<string, number>
  secrets: CopyReport['secrets']
  key: CopyKey | null
}

/** What the text names. Throws `invalid_argument`. */
export function placeOf(
  text: string,
): { address: string; directory: null } | { address: null; directory: string } {
  if (/^postgres(?:ql)?:\/\//i.test(text)) return { address: text, directory: null }
  const directory = resolve(text)
  if (text.trim() === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || isFile(directory))
    throw new AppError(
      'invalid_argument',
      'A store is a data directory (not a file in it), or postgres://user@host/database.',
    )
  return { address: null, directory }
}

export async function openSource(text: string, purpose: Purpose): Promise<CopySide> {
  const place = placeOf(text)
  if (place.address === null)
    return await (await import('./sqlite/copy-side.ts')).openSource(place.directory, purpose)
  return await (await import('./postgres/copy-side.ts')).openSource(place.address, purpose)
}

export async function openTarget(
  options: Pick<CopyOptions, 'to' | 'version' | 'allow_network_fs'> & Patience,
  source: string | null = null,
): Promise<CopyTarget> {
  const { to, version, allow_network_fs = false } = options
  const place = placeOf(to)
  if (place.address === null) {
    const { openTarget } = await import('./sqlite/copy-side.ts')
    return await openTarget(place.directory, { version, allow_network_fs, source })
  }
  const { openTarget } = await import('./postgres/copy-side.ts')
  return await openTarget(place.address, { version, source, ...patienceOf(options) })
}

/** How the databases of a copy are waited for. */
export function patienceOf({ signal, onWaiting, silent_ms }: Patience): Patience {
  return { signal, onWaiting, silent_ms }
}

/** The uploads of a store, as its servers keep them without object storage. */
async function withUploads<T>(
  text: string,
  { data, version }: CopyOptions,
  work: (uploads: UploadStore) => Promise<T>,
): Promise<T> {
  const { address, directory } = placeOf(text)
  if (address === null) return await work(new FolderUploads(join(directory, 'files')))
  return await (
    await import('./postgres/uploads.ts')
  ).withUploads({ address, version, directory: data }, work)
}

export async function withBothUploads<T>(
  options: CopyOptions,
  work: (places: Places) => Promise<T>,
): Promise<T> {
  const signal = options.signal ?? new AbortController().signal
  return await withUploads(options.from, options, (from) =>
    withUploads(options.to, options, (to) => work({ from, to, signal })),
  )
}

export async function withSides<Target extends CopySide, T>(
  options: CopyOptions,
  { todo, openTarget }: { todo: Purpose['todo']; openTarget: (other: string) => Promise<Target> },
  work: (sides: Sides<Target>) => Promise<T>,
): Promise<T> {
  const source = await openSource(options.from, { todo, other: null, ...patienceOf(options) })
  try {
    await refuseUnfinishedCopy(source.connection, source.place)
    const tables = copiedTables()
    const keysIn = (text: string) => placeOf(text).directory ?? options.data
    const boxOf = (text: string, passphrase: string | null) =>
      new SecretBox({ directory: keysIn(text), passphrase })
    const sourceKeys = await boxOf(
      options.from,
      options.source_encryption_key ?? options.encryption_key,
    ).keys()
    const secrets = await lookAtSecrets(source, tables, sourceKeys)
    if (todo === 'copy' && secrets.sealed > 0 && options.keep_sealed !== true)
      throw unreadable(source.place, secrets)
    const target = await openTarget(source.identity)
    try {
      options.signal?.throwIfAborted()
      const box = boxOf(options.to, options.encryption_key)
      const seals = todo === 'copy' && secrets.opened > 0
      // It may be the first thing of Loci's on this machine.
      if (seals) await fs.mkdir(keysIn(options.to), { recursive: true, mode: 0o700 })
      const targetKeys = await (seals ? box.keysToWrite() : box.keys())
      const counts: Record<string, number> = {}
      for (const table of tables) counts[table.name] = await countOf(source.connection, table)
      return await work({
        source,
        target,
        tables,
        keys: { source: sourceKeys, target: targetKeys },
        counts,
        secrets,
        key: await keyOfCopy(source, secrets, {
          id: targetKeys.first,
          from: options.encryption_key === null ? join(keysIn(options.to), KEY_FILE) : 'LOCI_ENCRYPTION_KEY',
        }),
      })
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

export function report(
  { source, target, secrets, key }: Sides,
  found: Pick<CopyReport, 'rows' | 'copied' | 'uploads' | 'differences' | 'uncompared'>,
): CopyReport {
  return { from: source.place, to: target.place, secrets, key, ...found }
}

async function lookAtSecrets(
  source: CopySide,
  tables: readonly CopiedTable[],
  keys: SecretKeys,
): Promise<CopyReport['secrets']> {
  let opened = 0
  const missing: string[] = []
  for (const table of tables.filter(({ name }) => SEALED_TABLES.includes(name)))
    for await (const rows of batchesOf(source.connection, table, null))
      for (const row of rows) {
        const found = opens(table.name, row, keys)
        opened += found.opened
        missing.push(...found.missing)
      }
  return { opened, sealed: missing.length, missing_keys: [...new Set(missing)] }
}

/** The key that the secrets are encrypted with once they are copied; `own` encrypts those that could be opened. */
async function keyOfCopy(
  source: CopySide,
  { opened, missing_keys }: CopyReport['secrets'],
  own: { id: string | null; from: string },
): Promise<CopyKey | null> {
  if (opened > 0 && own.id !== null) return { id: own.id, from: own.from }
  // All of them stay as they are: what the servers of the source agreed on holds for the copy, too.
  const agreed = await source.connection.get<{ value: string }>(
    sql`select value from meta where key = 'encryption_key_id'`,
  )
  const [only, ...others] = missing_keys
  const id = missing_keys.find((one) => one === agreed?.value) ?? (others.length === 0 ? only : undefined)
  return id === undefined ? null : { id, from: null }
}

function unreadable(place: string, { sealed, missing_keys }: CopyReport['secrets']): AppError {
  return new AppError(
    'secrets_unreadable',
    `${sealed} ${sealed === 1 ? 'secret' : 'secrets'} in ${place} ${sealed === 1 ? 'was' : 'were'} encrypted with a key that is not here (${missing_keys.join(', ')}). Set ` +
      'LOCI_ENCRYPTION_KEY to it (or LOCI_SOURCE_ENCRYPTION_KEY, when the copy is to have another), or copy them as they ' +
      'are with --keep-sealed: then they can be read in the copy once that key is given to its servers.',
  )
}

/** What a store holds, in words. */
export async function filledTables(
  { connection }: CopySide,
  tables: readonly CopiedTable[],
): Promise<string[]> {
  const found: string[] = []
  for (const table of tables) {
    const rows = await countOf(connection, table)
    if (rows > 0) found.push(`${rows} in ${table.name}`)
  }
  return found
}

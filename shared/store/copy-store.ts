import { hash } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { sql } from 'kysely'
import type { UploadStore } from '../core/ports/upload-store.ts'
import { AppError } from '../schema/errors.ts'
import { pause } from './pause.ts'
import { KEY_FILE, SecretBox, type SecretKeys } from './secret-box.ts'
import { indexText } from './search-text.ts'
import { type Compared, compareRows, type Difference } from './sql/compare-rows.ts'
import { COPIED, type CopiedTable, OWN_META } from './sql/copied-tables.ts'
import { comparable, opens, resealed, SEALED_TABLES } from './sql/copied-secrets.ts'
import { batchesOf, countOf, keyFrom, keyOf, plainValue, type Row, storedRows } from './sql/copy-rows.ts'
import type { CopySide, CopyTarget, IndexedText, Purpose } from './sql/copy-side.ts'
import { ownerWord } from './sql/full-text.ts'
import { indexEntry, messageOf, type StoredRow } from './sql/messages.ts'
import { type CopyMark, readCopyMark, refuseUnfinishedCopy, writeCopyMark } from './sql/unfinished-copy.ts'
import { copiedTables, isFile } from './sqlite/copy-side.ts'
import { compareUploads, copyUploads, type Places, type Uploads } from './copied-uploads.ts'
import { FolderUploads } from './uploads/folder-uploads.ts'

export interface CopyOptions {
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
  signal?: AbortSignal
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
}

/** The key that servers of a copy need. */
export interface CopyKey {
  /** Names it; says nothing about it. */
  id: string
  /** Where this copy took it from: LOCI_ENCRYPTION_KEY, or the path of a file; null for one that is not here. */
  from: string | null
}

interface Sides<Target extends CopySide = CopySide> {
  source: CopySide
  target: Target
  tables: readonly CopiedTable[]
  keys: { source: SecretKeys; target: SecretKeys }
  counts: Record<string, number>
  secrets: CopyReport['secrets']
  key: CopyKey | null
}

/**
 * Copies a whole store to an empty one, of any engine, and verifies every row. Goes on where an earlier call was
 * stopped. Until it is complete the target cannot be opened as a store. Differences are answered, not thrown: then it is
 * not complete. Throws `not_found`, `conflict`, `invalid_argument`, `secrets_unreadable`, `store_unavailable`.
 */
export async function copyStore(options: CopyOptions): Promise<CopyReport> {
  const opened = (other: string) => openTarget(options, other)
  return await withSides(options, { todo: 'copy', openTarget: opened }, async (sides) => {
    const { source, target, tables, counts } = sides
    const mark = await begin(sides, options)
    const before = mark.rows
    const setNumbers = () => target.write(async () => target.setNumbers(tables, await source.numbers(tables)))
    // PostgreSQL makes partitions by them.
    await setNumbers()
    await copyRows(sides, mark, options)
    options.onStage?.('Completing the indexes')
    await setNumbers()
    await target.complete()
    const { uploads, unlike } = await withBothUploads(options, async (places) => ({
      uploads: await copyUploads(source.connection, places),
      unlike: await compareUploads(source.connection, places),
    }))
    const differences = [...(await compare(sides, options)), ...unlike]
    if (differences.length === 0) {
      await refuseChanged(options, mark.source, tables)
      await target.write(async () => {
        await target.setKey(mark.key)
        await writeCopyMark(target.connection, null)
      })
    }
    return report(sides, { rows: counts, copied: mark.rows - before, uploads, differences })
  })
}

/** Compares every row of two stores, and makes nothing that is not there. Throws as `copyStore`. */
export async function verifyCopy(options: CopyOptions): Promise<CopyReport> {
  const opened = (other: string) => openSource(options.to, { todo: 'compare', other, signal: options.signal })
  return await withSides(options, { todo: 'compare', openTarget: opened }, async (sides) => {
    const { source, target } = sides
    await refuseUnfinishedCopy(target.connection, target.place)
    if ((await filledTables(target, sides.tables)).length === 0)
      throw new AppError(
        'not_found',
        `${target.place} is empty: there is nothing to compare ${source.place} with.`,
      )
    const differences = [
      ...(await compare(sides, options)),
      ...(await withTemporary((data) =>
        withBothUploads({ ...options, data }, (places) => compareUploads(source.connection, places)),
      )),
    ]
    return report(sides, { rows: sides.counts, copied: 0, uploads: null, differences })
  })
}

/** Empties the target of a copy that is not complete; answers how many rows went. Throws `conflict` for any other. */
export async function discardCopy(
  options: Pick<CopyOptions, 'to' | 'version' | 'allow_network_fs'>,
): Promise<{ to: string; rows: number }> {
  const target = await openTarget(options)
  try {
    const mark = await readCopyMark(target.connection)
    if (!mark)
      throw new AppError(
        'conflict',
        `${target.place} is not the target of an unfinished copy: it was left as it is.`,
      )
    await empty(target)
    await target.write(() => writeCopyMark(target.connection, null))
    return { to: target.place, rows: mark.rows }
  } finally {
    await target.close()
  }
}

/** What the text names. Throws `invalid_argument`. */
function placeOf(text: string): { address: string; directory: null } | { address: null; directory: string } {
  if (/^postgres(?:ql)?:\/\//i.test(text)) return { address: text, directory: null }
  const directory = resolve(text)
  if (text.trim() === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || isFile(directory))
    throw new AppError(
      'invalid_argument',
      'A store is a data directory (not a file in it), or postgres://user@host/database.',
    )
  return { address: null, directory }
}

async function openSource(text: string, purpose: Purpose): Promise<CopySide> {
  const place = placeOf(text)
  if (place.address === null)
    return await (await import('./sqlite/copy-side.ts')).openSource(place.directory, purpose)
  return await (await import('./postgres/copy-side.ts')).openSource(place.address, purpose)
}

async function openTarget(
  {
    to,
    version,
    allow_network_fs = false,
    signal,
  }: Pick<CopyOptions, 'to' | 'version' | 'allow_network_fs' | 'signal'>,
  source: string | null = null,
): Promise<CopyTarget> {
  const place = placeOf(to)
  if (place.address === null) {
    const { openTarget } = await import('./sqlite/copy-side.ts')
    return await openTarget(place.directory, { version, allow_network_fs, source })
  }
  return await (
    await import('./postgres/copy-side.ts')
  ).openTarget(place.address, { version, source, signal })
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

async function withBothUploads<T>(options: CopyOptions, work: (places: Places) => Promise<T>): Promise<T> {
  const signal = options.signal ?? new AbortController().signal
  return await withUploads(options.from, options, (from) =>
    withUploads(options.to, options, (to) => work({ from, to, signal })),
  )
}

/** What a database holds is compared as a file, and the data directory of this machine may not be there. */
async function withTemporary<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await fs.mkdtemp(join(tmpdir(), 'loci-verify-'))
  try {
    return await work(directory)
  } finally {
    await fs.rm(directory, { recursive: true, force: true })
  }
}

async function withSides<Target extends CopySide, T>(
  options: CopyOptions,
  { todo, openTarget }: { todo: Purpose['todo']; openTarget: (other: string) => Promise<Target> },
  work: (sides: Sides<Target>) => Promise<T>,
): Promise<T> {
  const source = await openSource(options.from, { todo, other: null, signal: options.signal })
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
    if (secrets.sealed > 0 && options.keep_sealed !== true) throw unreadable(source.place, secrets)
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

function report(
  { source, target, secrets, key }: Sides,
  found: Pick<CopyReport, 'rows' | 'copied' | 'uploads' | 'differences'>,
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
    `${sealed} secrets in ${place} were encrypted with a key that is not here (${missing_keys.join(', ')}). Set ` +
      'LOCI_ENCRYPTION_KEY to it (or LOCI_SOURCE_ENCRYPTION_KEY, when the copy is to have another), or copy them as they ' +
      'are with --keep-sealed: then they can be read in the copy once that key is given to its servers.',
  )
}

/** The mark of this copy: that of an earlier call, or a new one in an empty target. */
async function begin(sides: Sides<CopyTarget>, options: CopyOptions): Promise<CopyMark> {
  const { source, target, tables, key } = sides
  const now = await sourceMark(source, tables)
  const before = await readCopyMark(target.connection)
  if (before && options.restart !== true) {
    if (before.source === now && before.key === (key?.id ?? null)) return before
    if (before.source === now)
      throw new AppError(
        'conflict',
        `The copy into ${target.place} began with another key (${before.key ?? 'none'}) than is here now ` +
          `(${key?.id ?? 'none'}). Go on with that LOCI_ENCRYPTION_KEY or ${KEY_FILE}, or begin anew with --restart.`,
      )
    throw new AppError(
      'conflict',
      `${target.place} is the target of a copy of ${before.from} that began ${before.started_at}, and ${source.place} is not ` +
        'what that was then: it was used meanwhile, or is another store. Begin anew with --restart.',
    )
  }
  if (before) await empty(target)
  else await refuseFilled(sides, now)
  const mark: CopyMark = {
    from: source.place,
    started_at: new Date().toISOString(),
    source: now,
    key: key?.id ?? null,
    at: { table: COPIED[0], after: null },
    rows: 0,
  }
  await target.write(() => writeCopyMark(target.connection, mark))
  return mark
}

async function refuseFilled({ source, target, tables }: Sides, now: string): Promise<void> {
  const found = await filledTables(target, tables)
  if (found.length === 0) return
  // Of stores without agents the mark says too little.
  if (found.some((text) => text.endsWith(' in agents')) && (await sourceMark(target, tables)) === now)
    throw new AppError(
      'conflict',
      `${target.place} is complete: it has been copied from ${source.place} already, and nothing was copied now. Compare ` +
        'every row with --verify.',
    )
  const shown = found.length > 5 ? [...found.slice(0, 5), '…'] : found
  throw new AppError(
    'conflict',
    `${target.place} is not empty (rows: ${shown.join(', ')}), and nothing was copied. Name a new directory or an empty ` +
      'database; one that a server was started on is not empty.',
  )
}

/** What a store holds, in words. */
async function filledTables({ connection }: CopySide, tables: readonly CopiedTable[]): Promise<string[]> {
  const found: string[] = []
  for (const table of tables) {
    const rows = await countOf(connection, table)
    if (rows > 0) found.push(`${rows} in ${table.name}`)
  }
  return found
}

async function empty(target: CopyTarget): Promise<void> {
  await target.empty(COPIED.filter((name) => name !== 'meta').toReversed())
  await target.write(async () => {
    await target.connection.run(sql`delete from meta where key not in (${sql.join([...OWN_META])})`)
  })
}

/** What a store is recognised by, and that it has been changed since: nothing that is used leaves the numbers alone. */
async function sourceMark(source: CopySide, tables: readonly CopiedTable[]): Promise<string> {
  const agents = await source.connection.all(sql`select id, created_at from agents order by id limit 10`)
  return hash('sha256', JSON.stringify([await source.numbers(tables), agents]))
}

/** A database that others have written to meanwhile. */
async function refuseChanged(
  options: CopyOptions,
  mark: string,
  tables: readonly CopiedTable[],
): Promise<void> {
  // Nobody can change a directory meanwhile.
  if (placeOf(options.from).address === null) return
  const source = await openSource(options.from, { todo: 'copy', other: null, signal: options.signal })
  try {
    if ((await sourceMark(source, tables)) === mark) return
    throw new AppError(
      'conflict',
      `${source.place} was changed while it was copied, so that the copy lacks something. Stop every server that uses it, ` +
        'and copy again with --restart.',
    )
  } finally {
    await source.close()
  }
}

async function copyRows(sides: Sides<CopyTarget>, mark: CopyMark, options: CopyOptions): Promise<void> {
  const { source, target, tables, keys, counts } = sides
  if (!mark.at) return
  const { at } = mark
  const first = tables.findIndex(({ name }) => name === at.table)
  for (const [i, table] of tables.entries()) {
    if (i < first) continue
    const after = i === first && at.after ? keyFrom(at.after) : null
    let rows = after ? await countOf(target.connection, table) : 0
    for await (const batch of batchesOf(source.connection, table, after)) {
      options.signal?.throwIfAborted()
      const last = batch.at(-1)
      if (!last) continue
      await target.write(async () => {
        const given = batch.map((row) => resealed(table.name, row, keys.source, keys.target))
        const stored = storedRows(table, given, target.pgvector)
        await target.insert(table.name, stored.columns, stored.rows)
        await indexTexts(target, table, batch)
        mark.rows += batch.length
        mark.at = { table: table.name, after: keyOf(table, last).map(plainValue) }
        await writeCopyMark(target.connection, mark)
      })
      rows += batch.length
      options.onProgress?.('copying', table.name, rows, counts[table.name] ?? rows)
      await pause(0)
    }
  }
  mark.at = null
  await target.write(() => writeCopyMark(target.connection, mark))
}

/** What is found by its words. */
async function indexTexts(target: CopyTarget, { name }: CopiedTable, rows: readonly Row[]): Promise<void> {
  if (name === 'passages')
    await target.index(
      'passages_fts',
      rows.map(({ seq, archive_id, text }) => ({
        rowid: Number(seq),
        owner: ownerWord(String(archive_id)),
        text: indexText(String(text)),
      })),
    )
  if (name === 'messages')
    await target.index(
      'messages_fts',
      rows
        .filter(({ searchable }) => searchable === 1)
        .map((row): IndexedText => ({
          rowid: Number(row['seq']),
          ...indexEntry(messageOf(row as unknown as StoredRow)),
        })),
    )
}

/** The rows that are not the same in both, of all tables; and texts that the index of the target lacks. */
async function compare(sides: Sides, options: CopyOptions): Promise<Difference[]> {
  const { source, target, tables, keys, counts } = sides
  const differences: Difference[] = []
  for (const table of tables) {
    const side = ({ connection }: CopySide, own: SecretKeys): Compared => ({
      connection,
      comparable: (row) => comparable(table.name, row, own),
    })
    const of = counts[table.name] ?? 0
    differences.push(
      ...(await compareRows(table, side(source, keys.source), side(target, keys.target), {
        onRows: (rows) => options.onProgress?.('verifying', table.name, rows, of),
        signal: options.signal,
      })),
    )
  }
  return [...differences, ...(await unindexed(target))]
}

/** Texts that words would not find, and vectors that nothing would find. */
async function unindexed({ connection, pgvector }: CopySide): Promise<Difference[]> {
  const queries = [
    {
      table: 'messages_fts',
      query: sql<{ seq: number }>`select seq from messages where searchable = 1
        and not exists (select 1 from messages_fts where messages_fts.rowid = messages.seq) order by seq limit 5`,
    },
    {
      table: 'passages_fts',
      query: sql<{ seq: number }>`select seq from passages
        where not exists (select 1 from passages_fts where passages_fts.rowid = passages.seq) order by seq limit 5`,
    },
    ...(pgvector
      ? [
          {
            table: 'vectors.embedding',
            query: sql<{
              seq: number
            }>`select id as seq from vectors where embedding is null order by id limit 5`,
          },
        ]
      : []),
  ]
  const differences: Difference[] = []
  for (const { table, query } of queries)
    for (const { seq } of await connection.all<{ seq: number }>(query))
      differences.push({ table, key: JSON.stringify([seq]), what: 'missing' })
  return differences
}

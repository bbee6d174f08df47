import { hash } from 'node:crypto'
import { sql } from 'kysely'
import { AppError } from '../schema/errors.ts'
import { compareUploads, copyUploads } from './copied-uploads.ts'
import {
  type CopyOptions,
  type CopyReport,
  filledTables,
  openSource,
  openTarget,
  patienceOf,
  placeOf,
  report,
  type Sides,
  withBothUploads,
  withSides,
} from './copy-sides.ts'
import { pause } from './pause.ts'
import { KEY_FILE } from './secret-box.ts'
import { indexText } from './search-text.ts'
import { COPIED, type CopiedTable, OWN_META } from './sql/copied-tables.ts'
import { resealed } from './sql/copied-secrets.ts'
import { batchesOf, countOf, keyFrom, keyOf, plainValue, type Row, storedRows } from './sql/copy-rows.ts'
import type { CopySide, CopyTarget, IndexedText, Patience } from './sql/copy-side.ts'
import { ownerWord } from './sql/full-text.ts'
import { indexEntry, messageOf, type StoredRow } from './sql/messages.ts'
import { type CopyMark, readCopyMark, writeCopyMark } from './sql/unfinished-copy.ts'
import { compare } from './verify-copy.ts'

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
    const { differences, uncompared } = await compare(sides, options)
    differences.push(...unlike)
    if (differences.length === 0 && uncompared.secrets === 0) {
      await refuseChanged(options, mark.source, tables)
      await target.write(async () => {
        await target.setKey(mark.key)
        await writeCopyMark(target.connection, null)
      })
    }
    return report(sides, { rows: counts, copied: mark.rows - before, uploads, differences, uncompared })
  })
}

/** Empties the target of a copy that is not complete; answers how many rows went. Throws `conflict` for any other. */
export async function discardCopy(
  options: Pick<CopyOptions, 'to' | 'version' | 'allow_network_fs'> & Patience,
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
  const source = await openSource(options.from, { todo: 'copy', other: null, ...patienceOf(options) })
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

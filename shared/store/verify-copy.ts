import { promises as fs } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { AppError } from '../schema/errors.ts'
import { compareUploads } from './copied-uploads.ts'
import {
  type CopyOptions,
  type CopyReport,
  filledTables,
  openSource,
  patienceOf,
  report,
  type Sides,
  withBothUploads,
  withSides,
} from './copy-sides.ts'
import { compareRows, type Comparison, type Difference, type Uncompared } from './sql/compare-rows.ts'
import type { CopySide } from './sql/copy-side.ts'
import { refuseUnfinishedCopy } from './sql/unfinished-copy.ts'

/**
 * Compares every row of two stores, and makes nothing that is not there. Secrets whose keys are not here are counted, and
 * compared as they lie in the stores. Throws as `copyStore`.
 */
export async function verifyCopy(options: CopyOptions): Promise<CopyReport> {
  const opened = (other: string) => openSource(options.to, { todo: 'compare', other, ...patienceOf(options) })
  return await withSides(options, { todo: 'compare', openTarget: opened }, async (sides) => {
    const { source, target } = sides
    await refuseUnfinishedCopy(target.connection, target.place)
    if ((await filledTables(target, sides.tables)).length === 0)
      throw new AppError(
        'not_found',
        `${target.place} is empty: there is nothing to compare ${source.place} with.`,
      )
    const { differences, uncompared } = await compare(sides, options)
    differences.push(
      ...(await withTemporary((data) =>
        withBothUploads({ ...options, data }, (places) => compareUploads(source.connection, places)),
      )),
    )
    return report(sides, { rows: sides.counts, copied: 0, uploads: null, differences, uncompared })
  })
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

/** The rows that are not the same in both, of all tables; and texts that the index of the target lacks. */
export async function compare(sides: Sides, options: CopyOptions): Promise<Comparison> {
  const { source, target, tables, keys, counts } = sides
  const differences: Difference[] = []
  const uncompared: Uncompared = { secrets: 0, source_keys: [], target_keys: [] }
  for (const table of tables) {
    const of = counts[table.name] ?? 0
    const found = await compareRows(
      table,
      { connection: source.connection, keys: keys.source },
      { connection: target.connection, keys: keys.target },
      {
        onRows: (rows) => options.onProgress?.('verifying', table.name, rows, of),
        signal: options.signal,
      },
    )
    differences.push(...found.differences)
    uncompared.secrets += found.uncompared.secrets
    uncompared.source_keys = [...new Set([...uncompared.source_keys, ...found.uncompared.source_keys])]
    uncompared.target_keys = [...new Set([...uncompared.target_keys, ...found.uncompared.target_keys])]
  }
  return { differences: [...differences, ...(await unindexed(target))], uncompared }
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

import { mapEach } from '../each.ts'
import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { FileMatch, FileSearch } from '../../core/ports/file-store.ts'
import type { Page } from '../../schema/page.ts'
import type { Passage } from '../../schema/passage.ts'
import { depthFor, fuse } from '../fusion.ts'
import { findTerms, queryTerms, type Term } from '../search-text.ts'
import type { Database } from './database.ts'
import { matches } from './full-text.ts'
import { contains, windowOf } from './page.ts'
import type { Connection } from './query.ts'
import { db } from './query.ts'
import { perTerm, type Ranked, rankMatches } from './ranking.ts'
import type { VectorIndex } from './vector-index.ts'
import { nearestTexts, withoutVector } from './vector-search.ts'

const NOTHING: Ranked = { seqs: [], coverage: 0 }

interface Data {
  file_id: string
  first_line: number
  last_line: number
}

/** The passages of a folder's files in pages. */
export async function readFilePassages(
  connection: Connection,
  actor: Actor,
  folder_id: string,
  page: Page,
): Promise<Passage[]> {
  const sorting = { table: 'passages', column: 'created_at', tie: 'seq' } as const
  const window = await windowOf(connection, actor.organization_id, sorting, page)
  let rows = inFiles()
    .selectAll('passages')
    .select(['files.name', 'folders.name as folder_name'])
    .where('passages.archive_id', '=', folder_id)
    .where('passages.organization_id', '=', actor.organization_id)
    .where('files.status', '<>', 'error')
  for (const condition of window.conditions) rows = rows.where(condition)
  const found = (await connection.all(rows.orderBy(window.direction).limit(page.limit))).map(
    (row): Passage => {
      const { file_id, first_line, last_line } = JSON.parse(row.data) as Data
      return {
        id: row.id,
        text: row.text,
        archive_id: null,
        source_id: folder_id,
        file_id,
        file_name: `${row.folder_name}/${row.name}`,
        tags: [],
        metadata: { first_line: first_line + 1, last_line: last_line + 1 },
        embedding: null,
        embedding_config: null,
        is_deleted: false,
        created_at: row.created_at,
        updated_at: row.updated_at,
        created_by_id: row.created_by_id,
        last_updated_by_id: row.last_updated_by_id,
      }
    },
  )
  return window.turned ? found.toReversed() : found
}

/** The parts of an agent's files that fit a query best, by words and, where there are vectors, by those. */
export async function searchFiles(
  database: Database,
  index: VectorIndex,
  actor: Actor,
  search: FileSearch,
): Promise<FileMatch[]> {
  const { agent_id, limit, vectors, mode } = search
  if (search.query.trim() === '') return []
  const depth = depthFor(limit)
  const byVectors = vectors !== undefined && vectors.size > 0 && mode !== 'fts'
  const [words, near] = await Promise.all([
    byVectors && mode === 'vector'
      ? NOTHING
      : database.read(async (c) => await bestOf(c, actor, search, depth)),
    byVectors
      ? nearestTexts(database, index, actor, { of: 'files', agent_id }, vectors, {
          among: null,
          limit: depth,
        })
      : [],
  ])
  const unembedded = byVectors
    ? await withoutVector(database, actor, { of: 'files', agent_id }, vectors, words.seqs)
    : undefined
  const found = fuse(words.seqs, near, 2 * depth, byVectors ? words.coverage : 1, unembedded).map(
    ({ key }) => key,
  )
  const matches = await database.read(async (c) => await matchesOf(c, actor, agent_id, found))
  return matches.slice(0, limit)
}

/** Places of the parts that fit best by their words. */
async function bestOf(
  connection: Connection,
  actor: Actor,
  { agent_id, query }: FileSearch,
  limit: number,
): Promise<Ranked> {
  const folders = await foldersOf(connection, actor, agent_id)
  if (folders.length === 0) return NOTHING
  const text = query.trim()
  const terms = queryTerms(text)
  const own = readFiles().where('passages.archive_id', 'in', folders)
  // What has no letter or digit in it (an emoji) is in no word index.
  if (terms.length === 0) {
    const having = own.select('passages.seq').where(contains('passages.text', text)).limit(limit)
    return { seqs: (await connection.all(having)).map((row) => row.seq), coverage: 1 }
  }
  const having = (term: Term) =>
    own
      .innerJoin('passages_fts', 'passages_fts.rowid', 'passages.seq')
      .where(matches('passages_fts', folders, term))
      .select(['passages.seq', sql<number>`octet_length(passages.text)`.as('length')])
      .orderBy('passages_fts.rowid', 'desc')
      .limit(perTerm(terms.length))
  return rankMatches(
    await findTerms(
      terms,
      async (asked) => await mapEach(asked, async (term) => await connection.all(having(term))),
    ),
    await totalOf(connection, folders),
    limit,
  )
}

/** The parts behind these places, in their order; one of a file that is not read, or is gone, is left out. */
async function matchesOf(
  connection: Connection,
  actor: Actor,
  agent_id: string,
  seqs: readonly number[],
): Promise<FileMatch[]> {
  const rows = await connection.all(
    readFiles()
      .select(['passages.seq', 'passages.text', 'passages.data', 'files.name', 'folders.name as folder_name'])
      .where('passages.seq', 'in', seqs)
      .where('passages.archive_id', 'in', await foldersOf(connection, actor, agent_id)),
  )
  const bySeq = new Map(rows.map((row) => [row.seq, row]))
  return seqs.flatMap((seq) => {
    const row = bySeq.get(seq)
    if (!row) return []
    const { file_id, first_line, last_line } = JSON.parse(row.data) as Data
    return [{ file_id, path: `${row.folder_name}/${row.name}`, text: row.text, first_line, last_line }]
  })
}

async function foldersOf(connection: Connection, actor: Actor, agent_id: string): Promise<string[]> {
  const attached = db
    .selectFrom('agents_folders')
    .select('folder_id')
    .where('agent_id', '=', agent_id)
    .where('organization_id', '=', actor.organization_id)
  return (await connection.all(attached)).map((row) => row.folder_id)
}

async function totalOf(connection: Connection, folders: readonly string[]): Promise<number> {
  const chunks = db
    .selectFrom('files')
    .select((eb) => eb.fn.sum<number>('chunks').as('n'))
    .where('folder_id', 'in', folders)
    .where('deleted', '=', 0)
  return (await connection.get(chunks))?.n ?? 0
}

function inFiles() {
  return db
    .selectFrom('passages')
    .innerJoin('file_passages', 'file_passages.passage_seq', 'passages.seq')
    .innerJoin('files', 'files.id', 'file_passages.file_id')
    .innerJoin('folders', 'folders.id', 'files.folder_id')
    .where('files.deleted', '=', 0)
}

function readFiles() {
  return inFiles().where('files.status', '=', 'completed')
}

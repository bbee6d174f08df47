import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { FileMatch } from '../../core/ports/file-store.ts'
import type { Page } from '../../schema/page.ts'
import type { Passage } from '../../schema/passage.ts'
import { queryTerms, type Term } from '../search-text.ts'
import { matchText } from './full-text.ts'
import { contains, windowOf } from './page.ts'
import type { Connection } from './query.ts'
import { sqlite } from './query.ts'
import { bestMatches, perTerm } from './ranking.ts'

interface Data {
  file_id: string
  first_line: number
  last_line: number
}

/** The passages of a folder's files in pages. */
export function readFilePassages(
  connection: Connection,
  actor: Actor,
  folder_id: string,
  page: Page,
): Passage[] {
  const sorting = { table: 'passages', column: 'created_at', tie: 'seq' } as const
  const window = windowOf(connection, actor.organization_id, sorting, page)
  let rows = inFiles()
    .selectAll('passages')
    .select(['files.name', 'folders.name as folder_name'])
    .where('passages.archive_id', '=', folder_id)
    .where('passages.organization_id', '=', actor.organization_id)
    .where('files.status', '<>', 'error')
  for (const condition of window.conditions) rows = rows.where(condition)
  const found = connection.all(rows.orderBy(window.direction).limit(page.limit)).map((row): Passage => {
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
  })
  return window.turned ? found.toReversed() : found
}

/** The parts of an agent's files that fit a query best. */
export function searchFiles(
  connection: Connection,
  actor: Actor,
  search: { agent_id: string; query: string; limit: number },
): FileMatch[] {
  const folders = connection
    .all(
      sqlite
        .selectFrom('agents_folders')
        .select('folder_id')
        .where('agent_id', '=', search.agent_id)
        .where('organization_id', '=', actor.organization_id),
    )
    .map((row) => row.folder_id)
  const text = search.query.trim()
  if (text === '' || folders.length === 0) return []
  const terms = queryTerms(text)
  const own = inFiles().where('passages.archive_id', 'in', folders).where('files.status', '=', 'completed')
  const having = (term: Term) =>
    own
      .innerJoin('passages_fts', 'passages_fts.rowid', 'passages.seq')
      .where(sql<boolean>`passages_fts match ${matchText(folders, [term])}`)
      .select(['passages.seq', sql<number>`octet_length(passages.text)`.as('length')])
      .orderBy('passages_fts.rowid', 'desc')
      .limit(perTerm(terms.length))
  const seqs =
    terms.length === 0
      ? connection
          .all(own.select('passages.seq').where(contains('passages.text', text)).limit(search.limit))
          .map((row) => row.seq)
      : bestMatches(
          terms.map((term) => connection.all(having(term))),
          totalOf(connection, folders),
          search.limit,
        )
  const rows = connection.all(
    inFiles()
      .select(['passages.seq', 'passages.text', 'passages.data', 'files.name', 'folders.name as folder_name'])
      .where('passages.seq', 'in', seqs),
  )
  const bySeq = new Map(rows.map((row) => [row.seq, row]))
  return seqs.flatMap((seq) => {
    const row = bySeq.get(seq)
    if (!row) return []
    const { file_id, first_line, last_line } = JSON.parse(row.data) as Data
    return [{ file_id, path: `${row.folder_name}/${row.name}`, text: row.text, first_line, last_line }]
  })
}

function totalOf(connection: Connection, folders: readonly string[]): number {
  const chunks = sqlite
    .selectFrom('files')
    .select((eb) => eb.fn.sum<number>('chunks').as('n'))
    .where('folder_id', 'in', folders)
    .where('deleted', '=', 0)
  return connection.get(chunks)?.n ?? 0
}

function inFiles() {
  return sqlite
    .selectFrom('passages')
    .innerJoin('file_passages', 'file_passages.passage_seq', 'passages.seq')
    .innerJoin('files', 'files.id', 'file_passages.file_id')
    .innerJoin('folders', 'folders.id', 'files.folder_id')
    .where('files.deleted', '=', 0)
}

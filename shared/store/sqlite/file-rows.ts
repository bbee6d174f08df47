import type { Actor } from '../../core/ports/actor.ts'
import type { AgentFile } from '../../core/ports/file-store.ts'
import type { FileLines, FileStatus, Folder } from '../../schema/folder.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'
import type { FileRow, FolderRow } from './tables.ts'

type FolderData = Pick<Folder, 'description' | 'instructions' | 'metadata' | 'embedding_config'>

const folderById = query<{ id: string; org: string }>()((p) =>
  sqlite.selectFrom('folders').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const textFrom = query<{ file: string; line: number }>()((p) =>
  sqlite
    .selectFrom('file_texts')
    .select(['first_line', 'text'])
    .where('file_id', '=', p.file)
    .where('first_line', '>=', (eb) =>
      eb.fn.coalesce(
        eb
          .selectFrom('file_texts as earlier')
          .select((e) => e.fn.max('earlier.first_line').as('line'))
          .where('earlier.file_id', '=', p.file)
          .where('earlier.first_line', '<=', p.line),
        eb.lit(0),
      ),
    )
    .orderBy('first_line')
    .limit(1),
)
const texts = query<{ file: string }>()((p) =>
  sqlite.selectFrom('file_texts').select('text').where('file_id', '=', p.file).orderBy('first_line'),
)

/** The row of a folder of the actor's organisation. */
export function readFolderRow(connection: Connection, actor: Actor, id: string): FolderRow | undefined {
  return folderById.get(connection, { id, org: actor.organization_id })
}

/** The folder of a row. */
export function folderOfRow(row: FolderRow): Folder {
  const { data, organization_id: _, ...columns } = row
  return { ...columns, ...(JSON.parse(data) as FolderData), vector_db_provider: 'native' }
}

/** The row of a folder. */
export function rowOfFolder(actor: Actor, folder: Folder): FolderRow {
  const { description, instructions, metadata, embedding_config, vector_db_provider: _, ...columns } = folder
  const data: FolderData = { description, instructions, metadata, embedding_config }
  return { ...columns, organization_id: actor.organization_id, data: JSON.stringify(data) }
}

/** A file as it is read. */
export type StoredFile = Omit<FileRow, 'chunks' | 'lines' | 'characters' | 'attempts' | 'deleted'> & {
  chunks: number
  lines: number
  characters: number
  attempts: number
}

/** The whole text of a file, as far as it was read; nothing of one whose reading failed. */
export function textOfFile(connection: Connection, { id, status }: { id: string; status: string }): string {
  if (status === 'error') return ''
  return texts
    .all(connection, { file: id })
    .map((row) => row.text)
    .join('\n')
}

/** As `FileStore.read`. */
export function readLines(
  connection: Connection,
  file_id: string,
  range: { start_line: number; end_line: number | null; max_chars: number },
): FileLines | null {
  const end = range.end_line ?? Infinity
  const found: string[] = []
  let next = range.start_line
  let size = 0
  while (next < end) {
    const piece = textFrom.get(connection, { file: file_id, line: next })
    const lines = piece?.text.split('\n').slice(next - piece.first_line) ?? []
    if (lines.length === 0) break
    for (const line of lines.slice(0, end - next)) {
      if (found.length > 0 && size + line.length + 1 > range.max_chars) return whole()
      found.push(line)
      size += line.length + 1
      next++
    }
  }
  return found.length === 0 ? null : whole()

  function whole(): FileLines {
    return { text: found.join('\n'), first_line: range.start_line, next_line: next }
  }
}

const ofAgent = query<{ agent: string; org: string }>()((p) =>
  sqlite
    .selectFrom('agents_files')
    .innerJoin('files', 'files.id', 'agents_files.file_id')
    .innerJoin('folders', 'folders.id', 'agents_files.folder_id')
    .select([
      'agents_files.id',
      'agents_files.file_id',
      'agents_files.folder_id',
      'folders.name as folder_name',
      'files.name',
      'files.status',
      'files.size',
      'files.lines',
      'files.characters',
      'agents_files.is_open',
      'agents_files.start_line',
      'agents_files.end_line',
      'agents_files.last_accessed_at',
    ])
    .where('agents_files.agent_id', '=', p.agent)
    .where('agents_files.organization_id', '=', p.org)
    .where('files.deleted', '=', 0)
    .orderBy('folders.name')
    .orderBy('files.name'),
)

/** The files of an agent by path. */
export function filesOfAgent(connection: Connection, actor: Actor, agent_id: string): AgentFile[] {
  return ofAgent
    .all(connection, { agent: agent_id, org: actor.organization_id })
    .map(({ name, is_open, status, ...row }) => ({
      ...row,
      status: status as FileStatus,
      path: `${row.folder_name}/${name}`,
      is_open: is_open === 1,
    }))
}

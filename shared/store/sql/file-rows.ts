import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { AgentFile } from '../../core/ports/file-store.ts'
import type { FileLines, FileStatus, Folder } from '../../schema/folder.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { FileRow, FolderRow } from './tables.ts'

type FolderData = Pick<Folder, 'description' | 'instructions' | 'metadata' | 'embedding_config'>

const folderById = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('folders').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const textFrom = query<{ file: string; line: number }>()((p) =>
  db
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

/** The row of a folder of the actor's organisation. */
export async function readFolderRow(
  connection: Connection,
  actor: Actor,
  id: string,
): Promise<FolderRow | undefined> {
  return await folderById.get(connection, { id, org: actor.organization_id })
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

/** As `FileStore.read`. */
export async function readLines(
  connection: Connection,
  file_id: string,
  range: { start_line: number; end_line: number | null; max_chars: number },
): Promise<FileLines | null> {
  const end = range.end_line ?? Infinity
  const found: string[] = []
  let next = range.start_line
  let size = 0
  while (next < end) {
    const piece = await textFrom.get(connection, { file: file_id, line: next })
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

/** The files of an agent's folders, with what the agent has made of them. */
const ofAgent = db
  .selectFrom('agents_folders')
  .innerJoin('folders', 'folders.id', 'agents_folders.folder_id')
  .innerJoin('files', 'files.folder_id', 'folders.id')
  .leftJoin('agents_files', (join) =>
    join
      .onRef('agents_files.agent_id', '=', 'agents_folders.agent_id')
      .onRef('agents_files.file_id', '=', 'files.id'),
  )
  .select([
    'files.id as file_id',
    'files.folder_id',
    'folders.name as folder_name',
    'files.name',
    'files.status',
    'files.error_message',
    'files.size',
    'files.lines',
    'files.characters',
    'agents_files.is_open',
    'agents_files.start_line',
    'agents_files.end_line',
    'agents_files.last_accessed_at',
  ])
  .where('files.deleted', '=', 0)
  .orderBy('folders.name')
  .orderBy('files.name')
const all = query<{ agent: string; org: string }>()((p) =>
  ofAgent.where('agents_folders.agent_id', '=', p.agent).where('agents_folders.organization_id', '=', p.org),
)
const one = query<{ agent: string; org: string; file: string }>()((p) =>
  ofAgent
    .where('agents_folders.agent_id', '=', p.agent)
    .where('agents_folders.organization_id', '=', p.org)
    .where('files.id', '=', p.file),
)
const open = query<{ agent: string; org: string }>()((p) =>
  ofAgent
    .where('agents_folders.agent_id', '=', p.agent)
    .where('agents_folders.organization_id', '=', p.org)
    .where('files.id', 'in', (eb) =>
      eb
        .selectFrom('agents_files')
        .select('file_id')
        .where('agent_id', '=', p.agent)
        .where(sql<boolean>`is_open = 1`),
    )
    .where('files.status', '<>', 'error'),
)
const closed = query<{ agent: string; org: string; folder: string; limit: number }>()((p) =>
  ofAgent
    .where('agents_folders.agent_id', '=', p.agent)
    .where('agents_folders.organization_id', '=', p.org)
    .where('agents_folders.folder_id', '=', p.folder)
    .where(sql<boolean>`(coalesce(agents_files.is_open, 0) = 0 OR files.status = 'error')`)
    .limit(p.limit),
)

interface Found {
  file_id: string
  folder_id: string
  folder_name: string
  name: string
  status: string
  error_message: string | null
  size: number
  lines: number
  characters: number
  is_open: number | null
  start_line: number | null
  end_line: number | null
  last_accessed_at: string | null
}

/** The files of an agent by path. */
export async function filesOfAgent(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): Promise<AgentFile[]> {
  return (await all.all(connection, { agent: agent_id, org: actor.organization_id })).map(agentFileOf)
}

/** A file of an agent; undefined when it has none of this id. */
export async function fileOfAgent(
  connection: Connection,
  actor: Actor,
  agent_id: string,
  file_id: string,
): Promise<AgentFile | undefined> {
  const row = await one.get(connection, { agent: agent_id, org: actor.organization_id, file: file_id })
  return row && agentFileOf(row)
}

/** The files that an agent has open, by path. */
export async function openFilesOf(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): Promise<AgentFile[]> {
  return (await open.all(connection, { agent: agent_id, org: actor.organization_id })).map(agentFileOf)
}

/** The first closed files of one of an agent's folders, by name. */
export async function closedFilesOf(
  connection: Connection,
  actor: Actor,
  { agent_id, folder_id }: { agent_id: string; folder_id: string },
  limit: number,
): Promise<AgentFile[]> {
  const { organization_id: org } = actor
  return (await closed.all(connection, { agent: agent_id, org, folder: folder_id, limit })).map(agentFileOf)
}

function agentFileOf({ name, is_open, status, ...row }: Found): AgentFile {
  return {
    ...row,
    // Most files of a folder have no row of their own with its agents.
    id: row.file_id.replace('file-', 'file_agent-'),
    status: status as FileStatus,
    path: `${row.folder_name}/${name}`,
    // What could not be read takes the place of nothing.
    is_open: is_open === 1 && status !== 'error',
  }
}

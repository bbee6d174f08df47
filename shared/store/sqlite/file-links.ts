import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { AgentFile } from '../../core/ports/file-store.ts'
import { DEFAULT_MAX_FILES_OPEN, DEFAULT_VIEW_CHARS } from '../../core/ports/file-view.ts'
import { AppError } from '../../schema/errors.ts'
import type { AgentDirectory, Folder } from '../../schema/folder.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Database, Transaction } from './database.ts'
import { deleteVectors } from './embeddings.ts'
import { closedFilesOf, folderOfRow, openFilesOf, readFolderRow, readLines } from './file-rows.ts'
import { linkTool, unlinkTool } from './links.ts'
import type { Compilable, Connection } from './query.ts'
import { query, sqlite } from './query.ts'
import { inSlices } from './slices.ts'

/** The tools that come with the first folder (reference 2.4). */
const FILE_TOOLS = ['open_files', 'grep_files', 'semantic_search_files']
/** Closed files that a prompt names. */
const MAX_CLOSED = 200

const foldersOf = query<{ agent: string; org: string }>()((p) =>
  sqlite
    .selectFrom('folders')
    .innerJoin('agents_folders', 'agents_folders.folder_id', 'folders.id')
    .selectAll('folders')
    .where('agents_folders.agent_id', '=', p.agent)
    .where('folders.organization_id', '=', p.org)
    .orderBy('agents_folders.position'),
)
const newest = query<{ folder: string; limit: number }>()((p) =>
  sqlite
    .selectFrom('files')
    .select('id')
    .where('folder_id', '=', p.folder)
    .where('deleted', '=', 0)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(p.limit),
)
const countFiles = query<{ folder: string }>()((p) =>
  sqlite
    .selectFrom('files')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('folder_id', '=', p.folder)
    .where(sql<boolean>`deleted = 0`),
)

/** The folders of an agent in the order they were attached. */
export function foldersOfAgent(connection: Connection, actor: Actor, agent_id: string): Folder[] {
  return foldersOf.all(connection, { agent: agent_id, org: actor.organization_id }).map(folderOfRow)
}

/** As `FolderStore.attach`, for an agent that is there. */
export function linkFolder(tx: Transaction, actor: Actor, agent_id: string, folder_id: string): void {
  if (!readFolderRow(tx, actor, folder_id))
    throw new AppError('not_found', `There is no folder '${folder_id}'.`)
  const before = foldersOfAgent(tx, actor, agent_id)
  if (before.some((folder) => folder.id === folder_id)) return
  const last = tx.get(
    sqlite
      .selectFrom('agents_folders')
      .select((eb) => eb.fn.max('position').as('position'))
      .where('agent_id', '=', agent_id),
  )
  tx.run(
    sqlite.insertInto('agents_folders').values({
      agent_id,
      folder_id,
      organization_id: actor.organization_id,
      position: (last?.position ?? -1) + 1,
    }),
  )
  openNewest(tx, actor, agent_id, folder_id)
  if (before.length === 0) for (const id of fileTools(tx, actor)) linkTool(tx, actor, agent_id, id)
  tx.event(actor, 'agent.updated', agent_id, agent_id)
}

/** Takes a folder and its files from an agent, and with the last folder the tools for files. */
export function unlinkFolder(tx: Transaction, actor: Actor, agent_id: string, folder_id: string): void {
  const link = sqlite
    .deleteFrom('agents_folders')
    .where('agent_id', '=', agent_id)
    .where('folder_id', '=', folder_id)
  if (tx.run(link) === 0) return
  tx.run(
    sqlite.deleteFrom('agents_files').where('agent_id', '=', agent_id).where('folder_id', '=', folder_id),
  )
  if (foldersOfAgent(tx, actor, agent_id).length === 0)
    for (const id of fileTools(tx, actor)) unlinkTool(tx, agent_id, id)
  tx.event(actor, 'agent.updated', agent_id, agent_id)
}

/** Makes these the folders of an agent. */
export function replaceFolders(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  ids: readonly string[],
): void {
  for (const { id } of foldersOfAgent(tx, actor, agent_id))
    if (!ids.includes(id)) unlinkFolder(tx, actor, agent_id, id)
  for (const id of ids) linkFolder(tx, actor, agent_id, id)
}

/** Opens the newest files of a folder for an agent, as far as there is room. */
function openNewest(tx: Transaction, actor: Actor, agent_id: string, folder_id: string): void {
  const room = limitsOf(tx, actor, agent_id).files - openFilesOf(tx, actor, agent_id).length
  if (room <= 0) return
  const last_accessed_at = new Date().toISOString()
  for (const { id: file_id } of newest.all(tx, { folder: folder_id, limit: room }))
    putState(tx, actor, { agent_id, folder_id, file_id }, { is_open: 1, last_accessed_at })
}

/** Opens a new file for an agent that has its folder, if there is room. */
export function openIfRoom(
  tx: Transaction,
  actor: Actor,
  file: { agent_id: string; folder_id: string; file_id: string },
): void {
  if (openFilesOf(tx, actor, file.agent_id).length >= limitsOf(tx, actor, file.agent_id).files) return
  putState(tx, actor, file, { is_open: 1, last_accessed_at: new Date().toISOString() })
}

/** Notes what an agent has made of one of its files. */
export function putState(
  tx: Transaction,
  actor: Actor,
  { agent_id, folder_id, file_id }: { agent_id: string; folder_id: string; file_id: string },
  values: {
    is_open?: number
    start_line?: number | null
    end_line?: number | null
    last_accessed_at?: string | null
  },
): void {
  const { organization_id } = actor
  const row = { start_line: null, end_line: null, last_accessed_at: null, is_open: 0, ...values }
  tx.run(
    sqlite
      .insertInto('agents_files')
      .values({ agent_id, file_id, folder_id, organization_id, ...row })
      .onConflict((conflict) => conflict.columns(['agent_id', 'file_id']).doUpdateSet(values)),
  )
}

/** What an agent may have open. */
export function limitsOf(connection: Connection, actor: Actor, agent_id: string) {
  const row = readAgentRow(connection, actor, agent_id)
  const data = (row ? JSON.parse(row.data) : {}) as {
    max_files_open?: number | null
    per_file_view_window_char_limit?: number | null
  }
  return {
    files: data.max_files_open ?? DEFAULT_MAX_FILES_OPEN,
    chars: data.per_file_view_window_char_limit ?? DEFAULT_VIEW_CHARS,
  }
}

/** The attached folders as the prompt shows them, with what is seen of the open files; nothing when there are none. */
export function withDirectories(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): { directories?: AgentDirectory[] } {
  const folders = foldersOfAgent(connection, actor, agent_id)
  return folders.length === 0 ? {} : { directories: directoriesOf(connection, actor, agent_id, folders) }
}

function directoriesOf(
  connection: Connection,
  actor: Actor,
  agent_id: string,
  folders: readonly Folder[],
): AgentDirectory[] {
  const { chars } = limitsOf(connection, actor, agent_id)
  const open = openFilesOf(connection, actor, agent_id)
  let room = MAX_CLOSED
  return folders.map(({ id, name, description, instructions }) => {
    const closed = closedFilesOf(connection, actor, { agent_id, folder_id: id }, room)
    room -= closed.length
    const shown = [...open.filter((file) => file.folder_id === id), ...closed].sort((a, b) =>
      a.path < b.path ? -1 : 1,
    )
    return {
      name,
      description,
      instructions,
      files: shown.map((file) => ({
        path: file.path,
        characters: file.characters,
        lines: file.lines,
        view: file.is_open ? viewOf(connection, file, chars) : null,
      })),
      more: (countFiles.get(connection, { folder: id })?.n ?? 0) - shown.length,
    }
  })
}

/** The lines of an open file that are seen; empty while it is being read, or when its reading failed. */
export function viewOf(connection: Connection, file: AgentFile, max_chars: number) {
  const start_line = file.start_line ?? 0
  const none = { text: '', first_line: start_line, next_line: start_line }
  if (file.status !== 'completed') return none
  return readLines(connection, file.file_id, { start_line, end_line: file.end_line, max_chars }) ?? none
}

/** The ids of the tools for files, as far as the organisation has them. */
export function fileTools(tx: Transaction, actor: Actor): string[] {
  const rows = tx.all(
    sqlite
      .selectFrom('tools')
      .select(['id', 'name'])
      .where('organization_id', '=', actor.organization_id)
      .where('name', 'in', FILE_TOOLS)
      .where('tool_type', '=', 'letta_files_core'),
  )
  return FILE_TOOLS.flatMap((name) => rows.find((row) => row.name === name)?.id ?? [])
}

/** These files are gone for everybody from now on; `sweepFiles` removes what they leave. */
export function markDeleted(tx: Transaction, files: Compilable<{ id: string }>): number {
  const ids = tx.all(files).map((row) => row.id)
  for (const id of ids) {
    tx.run(sqlite.deleteFrom('agents_files').where('file_id', '=', id))
    tx.run(sqlite.updateTable('files').set({ deleted: 1 }).where('id', '=', id))
  }
  return ids.length
}

/** Removes all files of a folder that is gone, in many short transactions. */
export async function clearFolder(database: Database, folder_id: string): Promise<void> {
  await inSlices(database, { first: 20, most: 500 }, (tx, rows) => {
    const some = sqlite
      .selectFrom('files')
      .select('id')
      .where('folder_id', '=', folder_id)
      .where('deleted', '=', 0)
      .limit(rows)
    return markDeleted(tx, some) > 0
  })
  await sweepFiles(database)
}

/** Removes what deleted files leave, in many short transactions; after a crash the next sweep goes on. */
export async function sweepFiles(database: Database): Promise<void> {
  for (;;) {
    const gone = await database.read((c) =>
      c.get(sqlite.selectFrom('files').select(['id', 'folder_id']).where('deleted', '=', 1).limit(1)),
    )
    if (!gone) return
    await clearFile(database, gone)
    await database.write((tx) => tx.run(sqlite.deleteFrom('files').where('id', '=', gone.id)))
  }
}

/** Removes the text of a file, its passages and their vectors. */
export async function clearFile(
  database: Database,
  { id: file_id, folder_id }: { id: string; folder_id: string },
): Promise<void> {
  await inSlices(database, { first: 20, most: 500 }, (tx, rows) => {
    const seqs = tx
      .all(
        sqlite.selectFrom('file_passages').select('passage_seq').where('file_id', '=', file_id).limit(rows),
      )
      .map((row) => row.passage_seq)
    if (seqs.length > 0) {
      deleteVectors(tx, folder_id, seqs)
      tx.run(sqlite.deleteFrom('passages_fts').where('rowid', 'in', seqs))
      tx.run(sqlite.deleteFrom('passages').where('seq', 'in', seqs))
      tx.run(
        sqlite.deleteFrom('file_passages').where('file_id', '=', file_id).where('passage_seq', 'in', seqs),
      )
      return true
    }
    const some = sqlite
      .selectFrom('file_texts')
      .select('first_line')
      .where('file_id', '=', file_id)
      .limit(rows)
    return (
      tx.run(sqlite.deleteFrom('file_texts').where('file_id', '=', file_id).where('first_line', 'in', some)) >
      0
    )
  })
}

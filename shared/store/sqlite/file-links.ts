import type { Actor } from '../../core/ports/actor.ts'
import type { AgentFile } from '../../core/ports/file-store.ts'
import { DEFAULT_MAX_FILES_OPEN, DEFAULT_VIEW_CHARS } from '../../core/ports/file-view.ts'
import { AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { AgentDirectory, Folder } from '../../schema/folder.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Database, Transaction } from './database.ts'
import { deleteVectors } from './embeddings.ts'
import { filesOfAgent, folderOfRow, readFolderRow, readLines } from './file-rows.ts'
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
const addFile = query<{
  id: string
  agent: string
  file: string
  folder: string
  org: string
  open: number
  now: string | null
}>()((p) =>
  sqlite
    .insertInto('agents_files')
    .values({
      id: p.id,
      agent_id: p.agent,
      file_id: p.file,
      folder_id: p.folder,
      organization_id: p.org,
      is_open: p.open,
      start_line: null,
      end_line: null,
      last_accessed_at: p.now,
    })
    .onConflict((conflict) => conflict.doNothing()),
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
  const files = tx.all(
    sqlite
      .selectFrom('files')
      .select('id')
      .where('folder_id', '=', folder_id)
      .where('deleted', '=', 0)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc'),
  )
  addToAgent(
    tx,
    actor,
    { agent_id, folder_id },
    files.map((file) => file.id),
  )
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

/** Gives an agent new files of a folder it has, the newest first; they are opened as far as there is room. */
export function addToAgent(
  tx: Transaction,
  actor: Actor,
  { agent_id, folder_id }: { agent_id: string; folder_id: string },
  file_ids: readonly string[],
): void {
  const open = filesOfAgent(tx, actor, agent_id).filter((file) => file.is_open).length
  let room = limitsOf(tx, actor, agent_id).files - open
  const now = new Date().toISOString()
  for (const file of file_ids) {
    const opens = room-- > 0
    addFile.run(tx, {
      id: newId('file_agent'),
      agent: agent_id,
      file,
      folder: folder_id,
      org: actor.organization_id,
      open: Number(opens),
      now: opens ? now : null,
    })
  }
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
  const files = filesOfAgent(connection, actor, agent_id)
  let closed = 0
  return folders.map(({ id, name, description, instructions }) => {
    const own = files.filter((file) => file.folder_id === id)
    const shown = own.filter((file) => file.is_open || closed++ < MAX_CLOSED)
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
      more: own.length - shown.length,
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

function fileTools(tx: Transaction, actor: Actor): string[] {
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

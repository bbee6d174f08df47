import type {
  FileAgent,
  FileFile,
  FileLink,
  FileSource,
  ImportOptions,
  Raw,
} from '../../schema/agent-file.ts'
import { isAppError } from '../../schema/errors.ts'
import type { Folder } from '../../schema/folder.ts'
import { newId } from '../../schema/ids.ts'
import type { EmbeddingConfig } from '../../schema/model.ts'
import { MAX_NAME, safeFileName } from '../../schema/names.ts'
import { instantOf } from '../../schema/time.ts'
import { CHUNK_TOKENS, folderEmbedding, TEXT_ONLY } from '../files/folder-embedding.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { batches } from '../ports/file-chunks.ts'
import type { FileBatch } from '../ports/file-store.ts'
import type { ImportedLink, StagedFile } from '../ports/import-store.ts'
import {
  type KeptFile,
  type KeptFolders,
  LINK_IDS,
  linkFields,
  SOURCE_IDS,
  sourceFields,
} from './entity-fields.ts'
import { keep, type Kept } from './kept.ts'
import type { Part, ReadFile } from './read-file.ts'

const CHARS_PER_TOKEN = 4

/** The folders and files that an import makes, by their ids in the file. */
export interface PlannedFolders {
  folders: Map<string, { folder: Folder; kept: Kept }>
  files: Map<string, PlannedFile>
}

export interface PlannedFile {
  staged: StagedFile
  /** `folder/file` */
  path: string
  /** Its text, when the file brings one. */
  text: string | null
  chunk_chars: number
  kept: KeptFile
}

/** Decides what the folders of a checked file become; nothing is stored. */
export async function planFolders(
  deps: CoreDeps,
  actor: Actor,
  file: ReadFile,
  options: ImportOptions,
  warnings: string[],
): Promise<PlannedFolders> {
  const planned: PlannedFolders = { folders: new Map(), files: new Map() }
  const taken = new Set<string>()
  for (const { raw, value } of file.sources) {
    const name = await freeName(deps, actor, value.name, taken)
    const { folder, overridden } = await folderOf(deps, actor, { ...value, name }, options, warnings)
    const kept = keep(raw, sourceFields(folder), SOURCE_IDS)
    for (const key of overridden) delete kept[key]
    planned.folders.set(value.id, { folder, kept })
  }
  const names = new Map<string, Set<string>>()
  for (const part of file.files) {
    const folder = planned.folders.get(part.value.source_id)?.folder
    if (!folder) continue
    const own = names.get(folder.id) ?? new Set()
    names.set(folder.id, own)
    planned.files.set(part.value.id, fileOf(part, folder, own))
  }
  const empty = [...planned.files.values()].filter(({ text }) => text === null).map(({ path }) => `'${path}'`)
  if (empty.length > 0)
    warnings.push(
      `The agent file has no text of ${empty.join(', ')}: agents cannot read ${it(empty.length)}.`,
    )
  return planned
}

function it(n: number): string {
  return n === 1 ? 'it' : 'them'
}

async function folderOf(
  deps: CoreDeps,
  actor: Actor,
  source: FileSource,
  options: ImportOptions,
  warnings: string[],
): Promise<{ folder: Folder; overridden: string[] }> {
  const override = options.embedding ?? options.override_embedding_handle
  const asked = override === null ? source : { embedding: override }
  const config = await folderEmbedding(deps, actor, asked).catch((error: unknown): EmbeddingConfig => {
    if (!isAppError(error) || override !== null) throw error
    warnings.push(`Folder '${source.name}' is found by its words: ${error.message}`)
    return TEXT_ONLY
  })
  const now = deps.clock.now().toISOString()
  const embedding_chunk_size = source.embedding_chunk_size ?? config.embedding_chunk_size ?? CHUNK_TOKENS
  return {
    folder: {
      id: newId('source'),
      name: source.name,
      description: source.description ?? null,
      instructions: source.instructions ?? null,
      metadata: source.metadata ?? null,
      embedding_config: { ...config, embedding_chunk_size },
      vector_db_provider: 'native',
      created_by_id: actor.user_id,
      last_updated_by_id: actor.user_id,
      created_at: now,
      updated_at: now,
    },
    overridden: override === null ? [] : ['embedding', 'embedding_config'],
  }
}

/** The name in the file as a folder may have it, numbered when there is one of that name. */
async function freeName(deps: CoreDeps, actor: Actor, given: string, taken: Set<string>): Promise<string> {
  const plain =
    given
      .replaceAll(/[\n\r"<>]+/g, ' ')
      .slice(0, MAX_NAME - 10)
      .trim() || 'folder'
  for (let n = 1; ; n++) {
    const name = n === 1 ? plain : `${plain} (${n})`
    const free = async () =>
      (await deps.store.folders.list(actor, { name }, { limit: 1, order: 'asc' })).length === 0
    if (taken.has(name) || !(await free())) continue
    taken.add(name)
    return name
  }
}

function fileOf({ raw, value }: Part<FileFile>, folder: Folder, taken: Set<string>): PlannedFile {
  const name = numbered(safeFileName(value.original_file_name ?? value.file_name ?? value.id), taken)
  const text = value.content != null && /\S/.test(value.content) ? value.content : null
  const { id: _, source_id: _s, content, ...fields } = raw
  const path = `${folder.name}/${name}`
  const tokens = folder.embedding_config.embedding_chunk_size ?? CHUNK_TOKENS
  return {
    staged: {
      id: newId('file'),
      folder_id: folder.id,
      name,
      type: value.file_type ?? null,
      size: value.file_size ?? text?.length ?? 0,
      status: text === null ? 'error' : 'completed',
      error_message:
        text === null ? (value.error_message ?? 'The agent file that brought it has no text of it.') : null,
    },
    path,
    text,
    chunk_chars: tokens * CHARS_PER_TOKEN,
    kept: {
      fields: text === null && Object.hasOwn(raw, 'content') ? { ...fields, content } : fields,
      path,
      end: '',
    },
  }
}

function numbered(name: string, taken: Set<string>): string {
  const dot = name.lastIndexOf('.')
  const at = dot <= 0 ? name.length : dot
  let free = name
  for (let n = 1; taken.has(free); n++) free = `${name.slice(0, at)}_(${n})${name.slice(at)}`
  taken.add(free)
  return free
}

/**
 * The text of a planned file in parts as they are stored. What of its end is not stored (line ends) is noted in what is
 * kept of it; a text that is stored in other words (other line ends, lines that were broken) is exported in those.
 */
export function* partsOf({ text, chunk_chars, kept }: PlannedFile): Generator<FileBatch> {
  if (text === null) return
  let at = 0
  let same = true
  for (const batch of batches(text, chunk_chars)) {
    for (const piece of batch.pieces) {
      if (at > 0 && text[at++] !== '\n') same = false
      same &&= text.startsWith(piece.text, at)
      at += piece.text.length
    }
    yield batch
  }
  if (same) kept.end = text.slice(at)
}

/** What an agent of the file has of its folders, and how the file said so. */
export function linksOf(
  { raw, value }: Part<FileAgent>,
  planned: PlannedFolders,
): { folder_ids: string[]; links: ImportedLink[]; kept: Pick<KeptFolders, 'lists' | 'links'> } {
  const folderId = (local: string) => planned.folders.get(local)?.folder.id ?? local
  const lists: KeptFolders['lists'] = {}
  for (const key of ['source_ids', 'folder_ids'] as const)
    if (Object.hasOwn(raw, key)) lists[key] = value[key]?.map(folderId) ?? null
  const listed = new Set([...(lists.source_ids ?? []), ...(lists.folder_ids ?? [])])
  const links: ImportedLink[] = []
  const kept: NonNullable<KeptFolders['links']> = {}
  const implied = new Set<string>()
  for (const [i, link] of (value.files_agents ?? []).entries()) {
    const file = planned.files.get(link.file_id)
    if (!file || Object.hasOwn(kept, file.staged.id)) continue
    const made = linkOf(link, file)
    links.push(made)
    if (!listed.has(made.folder_id)) implied.add(made.folder_id)
    const written = (raw['files_agents'] as Raw[])[i] ?? {}
    kept[file.staged.id] = keep(written, linkFields({ ...made, path: file.path }), LINK_IDS)
  }
  return {
    folder_ids: [...listed, ...implied],
    links,
    kept: {
      lists: { ...lists, implied: [...implied] },
      links: Object.hasOwn(raw, 'files_agents') ? kept : null,
    },
  }
}

function linkOf(link: FileLink, { staged }: PlannedFile): ImportedLink {
  return {
    file_id: staged.id,
    folder_id: staged.folder_id,
    is_open: link.is_open,
    start_line: link.start_line == null ? null : Math.max(0, link.start_line - 1),
    end_line: link.end_line == null ? null : Math.max(0, link.end_line),
    last_accessed_at: instantOf(link.last_accessed_at ?? '', 'UTC'),
  }
}

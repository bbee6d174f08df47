import { AppError } from '../../schema/errors.ts'
import type { Folder } from '../../schema/folder.ts'
import { MAX_NAME, safeFileName } from '../../schema/names.ts'
import { oldFile, oldFolder } from '../../schema/old-server.ts'
import { CHUNK_TOKENS, TEXT_ONLY } from '../files/folder-embedding.ts'
import { batches } from '../ports/file-chunks.ts'
import { embeddingHere } from './archives.ts'
import type { Kind } from './bring.ts'
import { readLeniently } from './read.ts'
import { timesOf } from './times.ts'

const CHARS_PER_TOKEN = 4

/** Folders, without their files. */
export const folders: Kind = {
  async plan(deps, actor, raw) {
    const notes: string[] = []
    const read = readLeniently(oldFolder, raw, notes)
    const name =
      read.name
        .replaceAll(/[\n\r"<>]+/g, ' ')
        .slice(0, MAX_NAME)
        .trim() || 'folder'
    if (name !== read.name)
      notes.push(`Its name '${read.name}' cannot stand in a path; it is called '${name}' here.`)
    const chosen = await embeddingHere(deps, actor, read.embedding_config, notes)
    const embedding_chunk_size = read.embedding_config?.embedding_chunk_size ?? CHUNK_TOKENS
    const made: Folder = {
      id: read.id,
      name,
      description: read.description ?? null,
      instructions: read.instructions ?? null,
      metadata: read.metadata ?? null,
      embedding_config: chosen
        ? { ...TEXT_ONLY, ...chosen.config, handle: chosen.handle, embedding_chunk_size }
        : { ...TEXT_ONLY, embedding_chunk_size },
      vector_db_provider: 'native',
      created_by_id: actor.user_id,
      last_updated_by_id: actor.user_id,
      ...timesOf(deps, raw),
    }
    const { description, instructions, metadata } = made
    return {
      id: read.id,
      name,
      here: read.id,
      view: { name, description, instructions, metadata },
      notes,
      async add() {
        await deps.store.folders.create(actor, made)
      },
      async change(here) {
        await deps.store.folders.update(actor, here, { name, description, instructions, metadata })
      },
    }
  },
  async view(deps, actor, here) {
    const found = await deps.store.folders.get(actor, here)
    if (!found) return null
    const { name, description, instructions, metadata } = found
    return { name, description, instructions, metadata }
  },
}

/** Files of folders that were brought, as text: the other server tells no more of them. */
export const files: Kind = {
  async plan(deps, actor, raw) {
    const notes: string[] = []
    const read = readLeniently(oldFile, raw, notes)
    const [entry] = await deps.store.migration.brought(actor, 'folder', [read.source_id])
    const home = entry && (await deps.store.folders.get(actor, entry.here))
    if (!home) throw new AppError('not_found', `Its folder '${read.source_id}' is not here.`)
    const name = safeFileName(read.original_file_name ?? read.file_name ?? read.id)
    const text = read.content != null && /\S/.test(read.content) ? read.content.replaceAll('\0', '') : null
    if (text === null)
      notes.push('The old server tells no text of it, so that agents cannot read it here; upload it again.')
    const staged = {
      id: read.id,
      folder_id: home.id,
      name,
      type: read.file_type ?? null,
      size: read.file_size ?? text?.length ?? 0,
      status: text === null ? ('error' as const) : ('completed' as const),
      error_message:
        text === null ? (read.error_message ?? 'The server that it came from told no text of it.') : null,
    }
    const chunk = (home.embedding_config.embedding_chunk_size ?? CHUNK_TOKENS) * CHARS_PER_TOKEN
    return {
      id: read.id,
      name,
      here: read.id,
      view: { name, size: staged.size },
      notes,
      async add() {
        const parts = text === null ? [] : batches(text, chunk)
        await deps.store.migration.addFile(actor, staged, timesOf(deps, raw), parts)
      },
      // Another text of one file is an upload in its place, which has an id of its own in V1.
      change: null,
    }
  },
  async view(deps, actor, here) {
    const found = await deps.store.files.get(actor, here)
    return found && { name: found.original_file_name, size: found.file_size }
  },
}

import type { EmbeddingConfig } from '../../schema/model.ts'
import { AppError, isAppError } from '../../schema/errors.ts'
import { oldArchive, oldPassage } from '../../schema/old-server.ts'
import type { Actor } from '../ports/actor.ts'
import type { ArchiveEmbedding } from '../ports/archive-store.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { chooseEmbedding } from '../search/embedding-choice.ts'
import type { Kind } from './bring.ts'
import { readLeniently } from './read.ts'
import { instantIn, timesOf } from './times.ts'

/** Archives, without their passages. */
export const archives: Kind = {
  async plan(deps, actor, raw) {
    const notes: string[] = []
    const {
      id,
      name,
      description = null,
      metadata = null,
      embedding_config,
    } = readLeniently(oldArchive, raw, notes)
    const embedding = await embeddingHere(deps, actor, embedding_config, notes)
    return {
      id,
      name,
      here: id,
      view: { name, description, metadata },
      notes,
      async add() {
        const { created_at } = timesOf(deps, raw)
        await deps.store.archives.create(actor, { id, name, description, metadata, embedding, created_at })
      },
      async change(here) {
        await deps.store.archives.update(actor, here, { name, description })
      },
    }
  },
  async view(deps, actor, here) {
    const found = await deps.store.archives.get(actor, here)
    return found && { name: found.name, description: found.description, metadata: found.metadata }
  },
}

/** The model that embeds the texts here; null, with a note, when it is not connected: they are then found by words. */
export async function embeddingHere(
  deps: CoreDeps,
  actor: Actor,
  embedding_config: EmbeddingConfig | null | undefined,
  notes: string[],
): Promise<ArchiveEmbedding | null> {
  if (!embedding_config) return null
  try {
    return await chooseEmbedding(deps, actor, { embedding_config })
  } catch (error) {
    if (!isAppError(error)) throw error
    notes.push(`It is found by its words until an embedding model is set: ${error.message}`)
    return null
  }
}

/** Passages of archives that were brought. */
export const passages: Kind = {
  async plan(deps, actor, raw) {
    const notes: string[] = []
    const read = readLeniently(oldPassage, raw, notes)
    const [entry] = await deps.store.migration.brought(actor, 'archive', [read.archive_id])
    if (!entry) throw new AppError('not_found', `Its archive '${read.archive_id}' was not brought.`)
    const { id, text } = read
    const tags = [...new Set(read.tags)]
    const metadata = read.metadata ?? {}
    const created_at = instantIn(raw['created_at']) ?? deps.clock.now().toISOString()
    const made = { id, text: text.replaceAll('\0', ''), tags, metadata, created_at }
    const add = async () => {
      await deps.store.passages.createIn(actor, entry.here, [made])
    }
    return {
      id,
      name: text.slice(0, 60),
      here: id,
      view: { text: made.text, tags, metadata },
      notes,
      add,
      async change() {
        await deps.store.passages.deleteFrom(actor, entry.here, id)
        await add()
      },
    }
  },
  async view(deps, actor, here) {
    const [found] = await deps.store.migration.passages(actor, [here])
    return found ? { text: found.text, tags: found.tags, metadata: found.metadata } : null
  },
}

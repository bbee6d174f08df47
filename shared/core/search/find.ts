import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { FileMatch, FileSearch } from '../ports/file-store.ts'
import type { MessageFind, MessageMatch } from '../ports/message-store.ts'
import type { PassageMatch, PassageSearch, SearchMode } from '../ports/passage-store.ts'
import type { VectorScope } from '../ports/vector-store.ts'

/** How long a query may take to be embedded; a provider that is slower, or fails, leaves the search to the words. */
const EMBED_MS = 5_000
/** Characters of a query that are embedded. */
const MAX_CHARACTERS = 8_000

/** Searches passages by words and, where they have vectors, by meaning. `mode` says how it was done. */
export async function findPassages(
  deps: CoreDeps,
  actor: Actor,
  search: Omit<PassageSearch, 'vectors'>,
): Promise<{ mode: SearchMode; matches: PassageMatch[] }> {
  const scope = { of: 'passages', agent_id: search.agent_id, archive_id: search.archive_id } as const
  const { mode, vectors } = await queryVectors(deps, actor, scope, search.query, search.mode)
  return { mode, matches: await deps.store.passages.search(actor, { ...search, mode, vectors }) }
}

/** The query's vectors, by model, for what a search would look at; and how it can be done with them. */
export async function queryVectors(
  deps: CoreDeps,
  actor: Actor,
  scope: VectorScope,
  query: string,
  wanted: SearchMode = 'hybrid',
): Promise<{ mode: SearchMode; vectors: ReadonlyMap<string, Float32Array> }> {
  const vectors = new Map<string, Float32Array>()
  if (wanted !== 'fts' && deps.embeddings && query.trim() !== '') {
    const models = await deps.store.vectors.models(actor, scope)
    await Promise.all(
      models.map(async (handle) => {
        const vector = await vectorOf(deps, actor, handle, query).catch(() => null)
        if (vector) vectors.set(handle, vector)
      }),
    )
  }
  return { mode: vectors.size === 0 ? 'fts' : wanted, vectors }
}

async function vectorOf(
  deps: CoreDeps,
  actor: Actor,
  handle: string,
  query: string,
): Promise<Float32Array | null> {
  const model = await deps.embeddings?.resolve(actor, handle)
  const signal = AbortSignal.timeout(EMBED_MS)
  const [vector] = (await model?.embedder.embed([query.slice(0, MAX_CHARACTERS)], { signal })) ?? []
  return vector ?? null
}

/** As `findPassages`, over the messages of an agent, of a conversation or of all agents. */
export async function findMessages(
  deps: CoreDeps,
  actor: Actor,
  search: Omit<MessageFind, 'vectors'>,
): Promise<{ mode: SearchMode; matches: MessageMatch[] }> {
  const scope = { of: 'messages', agent_id: search.agent_id } as const
  const { mode, vectors } = await queryVectors(deps, actor, scope, search.query, search.mode)
  return { mode, matches: await deps.store.messages.find(actor, { ...search, mode, vectors }) }
}

/** As `findPassages`, over the parts of an agent's files. */
export async function findFiles(
  deps: CoreDeps,
  actor: Actor,
  search: Omit<FileSearch, 'vectors'>,
): Promise<{ mode: SearchMode; matches: FileMatch[] }> {
  const scope = { of: 'files', agent_id: search.agent_id } as const
  const { mode, vectors } = await queryVectors(deps, actor, scope, search.query, search.mode)
  return { mode, matches: await deps.store.files.search(actor, { ...search, mode, vectors }) }
}

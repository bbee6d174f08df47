import type { Actor } from '../ports/actor.ts'
import type { ArchiveEmbedding } from '../ports/archive-store.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { EmbeddingConfig } from '../../schema/model.ts'

/** The embedding model that a request asks for; null for none: what it would serve is found by words alone. */
export async function chooseEmbedding(
  _deps: CoreDeps,
  _actor: Actor,
  asked: { embedding?: string | null | undefined; embedding_config?: EmbeddingConfig | null | undefined },
): Promise<ArchiveEmbedding | null> {
  const handle = asked.embedding ?? asked.embedding_config?.handle
  return handle == null || handle === '' ? null : { handle, config: asked.embedding_config ?? null }
}

import type { EmbeddingConfig } from '../../schema/model.ts'
import type { Actor } from '../ports/actor.ts'
import type { ArchiveEmbedding } from '../ports/archive-store.ts'
import type { CoreDeps } from '../ports/deps.ts'

/**
 * The embedding model that a request asks for, else the default one; null for none: what it would serve is found by its
 * words alone. A handle of a provider that is not configured is kept with what the request says of it, so that agents of
 * other servers come in as they are. Throws `invalid_argument` for a handle that its provider does not have.
 */
export async function chooseEmbedding(
  { embeddings }: CoreDeps,
  actor: Actor,
  asked: { embedding?: string | null | undefined; embedding_config?: EmbeddingConfig | null | undefined },
): Promise<ArchiveEmbedding | null> {
  const handle = asked.embedding ?? asked.embedding_config?.handle ?? embeddings?.default_handle ?? ''
  if (handle === '') return null
  const config = asked.embedding_config?.handle === handle ? asked.embedding_config : null
  const found = await embeddings?.resolve(actor, handle)
  return { handle, config: found ? configOf(found.info) : config }
}

/** What is kept of an embedding model with agents and archives (V1 `EmbeddingConfig`). */
function configOf(info: EmbeddingConfig): EmbeddingConfig {
  const { embedding_endpoint_type, embedding_endpoint, embedding_model, embedding_dim } = info
  const { embedding_chunk_size, batch_size, handle } = info
  return {
    embedding_endpoint_type,
    embedding_endpoint,
    embedding_model,
    embedding_dim,
    embedding_chunk_size,
    handle,
    batch_size,
  }
}

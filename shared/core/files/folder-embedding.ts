import type { EmbeddingConfig } from '../../schema/model.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { chooseEmbedding } from '../search/embedding-choice.ts'

/** Characters of a chunk are four for each of these; V1's default. */
export const CHUNK_TOKENS = 300

/** What a folder without embeddings says where V1's clients need a configuration: its parts are found by their words. */
export const TEXT_ONLY: EmbeddingConfig = {
  embedding_endpoint_type: 'openai',
  embedding_model: 'none',
  embedding_dim: 0,
  embedding_chunk_size: CHUNK_TOKENS,
  batch_size: 32,
}

/**
 * The embedding configuration of a folder for which this is asked; its `handle` is the model, if it has one. Throws as
 * `chooseEmbedding`.
 */
export async function folderEmbedding(
  deps: CoreDeps,
  actor: Actor,
  asked: { embedding?: string | null | undefined; embedding_config?: EmbeddingConfig | null | undefined },
): Promise<EmbeddingConfig> {
  const chosen = await chooseEmbedding(deps, actor, asked)
  if (chosen === null) return asked.embedding === '' ? TEXT_ONLY : (asked.embedding_config ?? TEXT_ONLY)
  return { ...(chosen.config ?? TEXT_ONLY), handle: chosen.handle }
}

import type { EmbeddingModel } from '../../schema/model.ts'
import type { Actor } from './actor.ts'

/** Turns texts into vectors. */
export interface Embedder {
  /**
   * One vector for each text, in their order, all of one length. Throws `AppError` with an `llm_*` code whose text names
   * provider, URL and cause; an answer with too few vectors, or with numbers that are none, is `llm_error`.
   */
  embed(texts: readonly string[], options: { signal: AbortSignal }): Promise<Float32Array[]>
}

/** An embedding handle (`provider/model`) made callable. */
export interface ResolvedEmbedding {
  readonly handle: string
  readonly info: EmbeddingModel
  embedder: Embedder
}

/** Embedding models of the configured providers. */
export interface Embeddings {
  /** What archives and agents get that name none; null when nothing is configured. */
  readonly default_handle: string | null
  /** Every embedding model that can be used now; a provider that does not answer contributes none. */
  list(actor: Actor): Promise<EmbeddingModel[]>
  /** Null when no such provider is configured. Throws `invalid_argument` when it has no such model. */
  resolve(actor: Actor, handle: string): Promise<ResolvedEmbedding | null>
}

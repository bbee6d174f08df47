import type { Actor } from './actor.ts'

/** Texts of one owner (an archive, a folder, or an agent for its messages) that have no vector yet, claimed by this process. */
export interface EmbeddingBatch {
  owner: string
  organization_id: string
  /** Handle of the embedding model. */
  model: string
  /** Changes with the model: what was made for another one is not stored. */
  generation: number
  /** Numbers that a vector of this owner has; null before the first answer. */
  dim: number | null
  /** Tries that failed since the last that did not. */
  failures: number
  texts: { seq: number; text: string }[]
}

/** How far an owner's texts are embedded. */
export interface EmbeddingStatus {
  model: string
  dim: number | null
  /** There are texts without a vector. */
  waiting: boolean
  /** Why the last try failed; null when it did not. */
  problem: string | null
}

/**
 * Vectors of stored texts. An insert never waits for one: texts wait as rows, any process embeds them later, and a
 * claim is free again when its process is gone, or after its time.
 */
export interface VectorStore {
  /** Whether messages are embedded too, with the model of their agent; kept for every process of this store. */
  embedMessages(on: boolean): Promise<void>
  /** The next texts that wait, of any organisation; null when none are due. */
  claim(limits: { texts: number; characters: number; claim_ms: number }): Promise<EmbeddingBatch | null>
  /**
   * Stores the vectors of a batch, all or none, and goes on behind it; null stands for a text that the provider refuses,
   * for the reason in `problem`. Nothing is stored when the owner's model has changed meanwhile. Throws
   * `invalid_argument` for a vector of another dimension than the owner's.
   */
  save(
    batch: EmbeddingBatch,
    vectors: readonly (Float32Array | null)[],
    problem?: string | null,
  ): Promise<void>
  /** Keeps why a batch could not be embedded, and lets it wait. */
  fail(batch: EmbeddingBatch, problem: string, wait_ms: number): Promise<void>
  /** Gives a batch back as it was. */
  release(batch: EmbeddingBatch): Promise<void>
  /** Removes vectors of models that their owners no longer have, in short transactions. */
  tidy(): Promise<void>
  /** Models with vectors where a search would look: those of an agent's archives or folders, of one archive, of all. */
  models(actor: Actor, scope: VectorScope): Promise<string[]>
  /** How much the numbers of an organisation's vectors take up. */
  bytes(actor: Actor): Promise<number>
  /** Null for an owner without an embedding model. */
  status(actor: Actor, owner: string): Promise<EmbeddingStatus | null>
}

export interface VectorScope {
  of: 'passages' | 'messages' | 'files'
  agent_id?: string | undefined
  archive_id?: string | undefined
}

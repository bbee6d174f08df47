import { AppError, isAppError, messageOf } from '../../schema/errors.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { Embedder } from '../ports/embedder.ts'
import type { EmbeddingBatch } from '../ports/vector-store.ts'

/** Texts, and characters of them, that one request embeds. */
const BATCH = { texts: 32, characters: 100_000 }
/** How long a batch is kept from other processes: longer than a provider may take. */
const CLAIM_MS = 120_000
/** Characters of a text that are embedded: more than any model reads. */
const MAX_CHARACTERS = 24_000
/** Wait after the first failure; doubles up to the second. */
const FIRST_WAIT_MS = 2_000
const MAX_WAIT_MS = 10 * 60_000

/** A batch that was not embedded. */
export interface EmbeddingProblem {
  owner: string
  model: string
  /** The error's code; its text may hold what was to be embedded. */
  code: string
  wait_ms: number
}

/**
 * Embeds what waits, batch after batch, until nothing is due. A provider that fails is asked again later, longer each
 * time; why is kept with the owner of the texts, and `onProblem` hears of it. Never rejects for a provider's failure.
 */
export async function embedWaiting(
  deps: CoreDeps,
  signal: AbortSignal,
  onProblem: (problem: EmbeddingProblem) => void = () => undefined,
): Promise<void> {
  await deps.store.vectors.tidy()
  while (!signal.aborted) {
    const batch = await deps.store.vectors.claim({ ...BATCH, claim_ms: CLAIM_MS })
    if (!batch) return
    try {
      await embedBatch(deps, batch, signal)
    } catch (error) {
      if (signal.aborted) return deps.store.vectors.release(batch)
      if (!isAppError(error)) throw error
      const wait = Math.min(FIRST_WAIT_MS * 2 ** Math.min(batch.failures, 16), MAX_WAIT_MS)
      await deps.store.vectors.fail(batch, messageOf(error), wait)
      onProblem({ owner: batch.owner, model: batch.model, code: error.code, wait_ms: wait })
    }
  }
}

async function embedBatch(deps: CoreDeps, batch: EmbeddingBatch, signal: AbortSignal): Promise<void> {
  const actor = { organization_id: batch.organization_id, user_id: '' }
  const model = await deps.embeddings?.resolve(actor, batch.model)
  if (!model)
    throw new AppError(
      'model_not_found',
      `No provider is configured for the embedding model '${batch.model}'; add it with 'loci connect', or choose another.`,
    )
  const texts = batch.texts.map(({ text }) => text.slice(0, MAX_CHARACTERS))
  const { vectors, problem } = await embedEach(model.embedder, texts, signal)
  await deps.store.vectors.save(batch, vectors, problem)
}

/** Vectors of these texts; null for one that the provider refuses even alone, so that it does not keep the others. */
async function embedEach(
  embedder: Embedder,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<{ vectors: (Float32Array | null)[]; problem: string | null }> {
  try {
    return { vectors: await embedder.embed(texts, { signal }), problem: null }
  } catch (error) {
    if (!isAppError(error, 'llm_bad_request') && !isAppError(error, 'llm_context_window')) throw error
    if (texts.length === 1) return { vectors: [null], problem: error.message }
    const half = Math.ceil(texts.length / 2)
    const first = await embedEach(embedder, texts.slice(0, half), signal)
    const second = await embedEach(embedder, texts.slice(half), signal)
    return {
      vectors: [...first.vectors, ...second.vectors],
      problem: first.problem ?? second.problem,
    }
  }
}

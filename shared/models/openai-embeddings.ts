import type { Embedder } from '../core/ports/embedder.ts'
import { AppError } from '../schema/errors.ts'
import type { EmbeddingModel } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { askForJson, limitsOf, type RetryPolicy } from './model-call.ts'
import { displayUrl, garbageError, type Place } from './model-errors.ts'
import { clientFor } from './openai-client.ts'

/** Embeddings by OpenAI's protocol, which all providers but Anthropic speak. */
export function createOpenAiEmbedder(
  provider: ProviderConfig,
  model: Pick<EmbeddingModel, 'name'>,
  retry: Partial<RetryPolicy> = {},
): Embedder {
  const client = clientFor(provider, model, limitsOf(provider).connect_ms)
  const place: Place = { provider, url: displayUrl(`${client.base}/embeddings`) }
  return {
    async embed(texts, { signal }) {
      if (texts.length === 0) return []
      // As numbers: not every server knows base64, and some answer it unasked.
      const body = JSON.stringify({ model: model.name, input: texts, encoding_format: 'float' })
      const answer = await askForJson(
        place,
        (inner) => client.post('/embeddings', body, { stream: false, signal: inner }),
        { signal, retry },
      )
      return vectorsOf(place, answer, texts.length)
    },
  }
}

/** It speaks the protocol, and does not keep to it: another address would not help. */
function answerError({ provider, url }: Place, what: string): AppError {
  return new AppError(
    'llm_error',
    `${provider.name} at ${url} answered ${what}. Nothing of it is kept, and it is asked again later; if it stays so, choose another embedding model.`,
    { data: { provider: provider.name, url } },
  )
}

function vectorsOf(place: Place, answer: unknown, wanted: number): Float32Array[] {
  const data = (answer as { data?: unknown } | null)?.data
  if (!Array.isArray(data)) throw garbageError(place, 'no list of vectors', JSON.stringify(answer) ?? '')
  if (data.length !== wanted) throw answerError(place, `${data.length} vectors for ${wanted} texts`)
  const vectors = Array.from<Float32Array | undefined>({ length: wanted })
  for (const [at, item] of (data as { index?: unknown; embedding?: unknown }[]).entries()) {
    const index = typeof item.index === 'number' ? item.index : at
    vectors[index] = vectorOf(item.embedding) ?? undefined
  }
  const length = vectors[0]?.length ?? 0
  return vectors.map((vector) => {
    if (!vector || vector.length === 0) throw garbageError(place, 'something that is not a vector', '')
    if (vector.length !== length)
      throw answerError(place, `vectors of ${length} and of ${vector.length} numbers at once`)
    return vector
  })
}

/** Numbers, or float32 in base64; null for anything else, and for a vector without direction. */
function vectorOf(value: unknown): Float32Array | null {
  let vector: Float32Array
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64')
    if (bytes.length % 4 !== 0) return null
    vector = Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4))
  } else if (Array.isArray(value)) vector = Float32Array.from(value as number[])
  else return null
  return vector.every(Number.isFinite) && vector.some((x) => x !== 0) ? vector : null
}

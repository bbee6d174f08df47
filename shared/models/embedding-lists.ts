import type { EmbeddingConfig, EmbeddingModel } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { getJson, items, ListError, size, text } from './model-lists.ts'
import { apiBase, serverRoot } from './providers.ts'

/** Numbers in a vector of a model nobody knows, until it has answered. */
const UNKNOWN_DIM = 1024

/** Numbers in a vector, where the lists do not tell. The first pattern that fits wins. */
const KNOWN: [RegExp, number][] = [
  [/text-embedding-3-large/, 3072],
  [/text-embedding-(3-small|ada-002)/, 1536],
  [/gemini-embedding/, 3072],
  [/text-embedding-00\d/, 768],
  [/codestral-embed/, 1536],
  [/mistral-embed/, 1024],
  [/nomic-embed|embeddinggemma|bge-base|e5-base|gte-base/, 768],
  [/mxbai-embed-large|bge-(large|m3)|e5-large|snowflake-arctic-embed/, 1024],
  [/all-minilm|bge-small|e5-small/i, 384],
]

const EMBEDS =
  /(?:^|[-_/.:])(?:embed(?:ding|dings|der|gemma)?s?|embedding\w*|bge|e5|gte|minilm|mxbai|nomic-embed\w*)(?:[-_.:/\d]|$)/i

interface ListedEmbedding {
  id: string
  dim: number | null
}

/** How long a vector of this model is, as far as its name tells. */
export function knownDimension(id: string): number | null {
  return KNOWN.find(([pattern]) => pattern.test(id))?.[1] ?? null
}

/** Asks a provider for its embedding models. Throws `ListError` after `timeout_ms` at the latest. */
export async function fetchEmbeddings(
  provider: ProviderConfig,
  timeout_ms: number,
): Promise<ListedEmbedding[]> {
  const signal = AbortSignal.timeout(timeout_ms)
  const ask = (url: string, body?: Record<string, unknown>) =>
    getJson(provider, url, signal, timeout_ms, body)
  const root = serverRoot(provider)
  switch (provider.provider_type) {
    case 'anthropic':
      return []
    case 'ollama': {
      const ids = items(await ask(`${root}/api/tags`), 'models').flatMap(
        (tag) => text(tag.name) ?? text(tag.model) ?? [],
      )
      const all = await Promise.all(
        ids.map(async (id): Promise<ListedEmbedding[]> => {
          // One model that cannot be shown must not hide the others.
          const show = (await ask(`${root}/api/show`, { model: id }).catch(() => ({}))) as Record<
            string,
            unknown
          >
          const can = show['capabilities']
          if (Array.isArray(can) ? !can.includes('embedding') : !EMBEDS.test(id)) return []
          const info = (show['model_info'] ?? {}) as Record<string, unknown>
          return [{ id, dim: size(Object.entries(info).find(([k]) => k.endsWith('.embedding_length'))?.[1]) }]
        }),
      )
      return all.flat()
    }
    case 'lmstudio_openai': {
      const list = await ask(`${root}/api/v0/models`).catch((error: unknown) => {
        if (error instanceof ListError && error.message.endsWith(' answered 404')) return null
        throw error
      })
      return list === null
        ? byName(await ask(`${root}/v1/models`))
        : byName(list, (item) => item.type === 'embeddings')
    }
    case 'azure': {
      const url = `${root.replace(/\/openai$/, '')}/openai/deployments?api-version=2023-03-15-preview`
      return items(await ask(url), 'data').flatMap((item) => {
        const id = text(item.id)
        const model = text(item.model) ?? id ?? ''
        return id && EMBEDS.test(model) ? { id, dim: knownDimension(model) } : []
      })
    }
    default:
      return byName(await ask(`${apiBase(provider)}/models`))
  }
}

function byName(
  list: unknown,
  embeds = (item: Record<string, unknown>, id: string) =>
    typeof item['type'] === 'string' && item['type'].startsWith('embedding') ? true : EMBEDS.test(id),
): ListedEmbedding[] {
  return items(list, 'data', 'models').flatMap((item) => {
    const id = (text(item.id) ?? text(item.name))?.replace(/^models\//, '')
    return id && embeds(item, id) ? { id, dim: size(item['embedding_length'] ?? item['dimensions']) } : []
  })
}

/** A whole V1 `EmbeddingModel` for a listed one. */
export function describeEmbedding(provider: ProviderConfig, listed: ListedEmbedding): EmbeddingModel {
  return {
    handle: `${provider.name}/${listed.id}`,
    name: listed.id,
    display_name: listed.id,
    provider_type: provider.provider_type,
    provider_name: provider.name,
    model_type: 'embedding',
    embedding_endpoint_type: endpointType(provider.provider_type),
    embedding_endpoint: apiBase(provider),
    embedding_model: listed.id,
    embedding_dim: listed.dim ?? knownDimension(listed.id) ?? UNKNOWN_DIM,
    embedding_chunk_size: 300,
    batch_size: 32,
    azure_endpoint: null,
    azure_version: null,
    azure_deployment: null,
  }
}

/** V1's endpoint type of a provider type: the same word where both have it, else the protocol we speak. */
function endpointType(type: ProviderConfig['provider_type']): EmbeddingConfig['embedding_endpoint_type'] {
  switch (type) {
    case 'lmstudio_openai':
      return 'lmstudio'
    case 'anthropic':
    case 'azure':
    case 'bedrock':
    case 'google_ai':
    case 'google_vertex':
    case 'groq':
    case 'hugging-face':
    case 'mistral':
    case 'ollama':
    case 'together':
    case 'vllm':
      return type
    default:
      return 'openai'
  }
}

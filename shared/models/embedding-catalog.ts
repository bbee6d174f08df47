import type { Embeddings, ResolvedEmbedding } from '../core/ports/embedder.ts'
import { AppError, messageOf } from '../schema/errors.ts'
import type { EmbeddingModel } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { entriesOf, type ModelsOptions, type ProviderList } from './catalog.ts'
import { describeEmbedding, fetchEmbeddings, knownDimension } from './embedding-lists.ts'
import { ListError } from './model-lists.ts'
import { createOpenAiEmbedder } from './openai-embeddings.ts'

interface List {
  models: EmbeddingModel[]
  problem: { message: string; absent: boolean } | null
}

/** The embedding models of these providers. Nothing is asked before the first call; nothing has to be closed. */
export function createEmbeddings(
  options: Pick<
    ModelsOptions,
    'providers' | 'discover_local' | 'local_urls' | 'list_ttl_ms' | 'list_timeout_ms'
  > & { default_handle?: string | null },
): Embeddings {
  const ttl = options.list_ttl_ms ?? 30_000
  const timeout = options.list_timeout_ms ?? 4000
  let known: ProviderList | null = null
  let entries: (ReturnType<typeof entriesOf>[number] & { own: Promise<List> | null })[] = []
  const resolved = new Map<string, ResolvedEmbedding>()

  /** Takes in the providers as they are now. */
  async function look(): Promise<void> {
    const { providers } = options
    const now = await (typeof providers === 'function' ? providers() : providers)
    if (now === known) return
    known = now
    entries = entriesOf(now, options).map((entry) => ({ ...entry, own: null }))
    resolved.clear()
  }

  function listOf(entry: (typeof entries)[number]): Promise<List> {
    if (entry.own && performance.now() < entry.stale_at) return entry.own
    entry.stale_at = Infinity
    entry.own = fetchList(entry.provider, entry.discovered ? Math.min(timeout, 2000) : timeout).then(
      (list) => {
        entry.stale_at = performance.now() + (list.problem ? Math.min(ttl, 5000) : ttl)
        return list
      },
    )
    return entry.own
  }

  async function find(handle: string): Promise<ResolvedEmbedding | null> {
    const slash = handle.indexOf('/')
    if (slash <= 0 || slash === handle.length - 1)
      throw new AppError(
        'invalid_argument',
        `'${handle}' is not an embedding handle; write it as provider/model, for example openai/text-embedding-3-small.`,
      )
    const entry = entries.find(({ provider }) => provider.name === handle.slice(0, slash))
    if (!entry) return null
    const id = handle.slice(slash + 1)
    const { models, problem } = await listOf(entry)
    if (problem?.absent && entry.discovered) return null
    const listed = models.find((model) => model.handle === handle)
    // Proxies often list chat models only: a name that everybody knows is taken on trust, as is any when there is no list.
    if (!listed && !problem && knownDimension(id) === null) throw notFound(handle, models)
    const info = listed ?? describeEmbedding(entry.provider, { id, dim: null })
    const found = { handle, info, embedder: createOpenAiEmbedder(entry.provider, info) }
    if (!problem) resolved.set(handle, found)
    return found
  }

  return {
    default_handle: options.default_handle ?? null,
    async list() {
      await look()
      return (await Promise.all(entries.map(listOf))).flatMap((list) => list.models)
    },
    async resolve(_actor, handle) {
      await look()
      return resolved.get(handle) ?? find(handle)
    },
  }
}

function notFound(handle: string, models: EmbeddingModel[]): AppError {
  const there = models.map((model) => model.handle).slice(0, 5)
  const hint = there.length === 0 ? 'It lists none.' : `There is: ${there.join(', ')}.`
  return new AppError('invalid_argument', `There is no embedding model '${handle}'. ${hint}`)
}

async function fetchList(provider: ProviderConfig, timeout_ms: number): Promise<List> {
  try {
    const listed = await fetchEmbeddings(provider, timeout_ms)
    return { models: listed.map((item) => describeEmbedding(provider, item)), problem: null }
  } catch (error) {
    const absent = error instanceof ListError && error.absent
    return { models: [], problem: { message: messageOf(error), absent } }
  }
}

import { isDeepStrictEqual } from 'node:util'
import type {
  LanguageModel,
  ModelListProblem,
  ModelPrice,
  Models,
  ResolvedModel,
} from '../core/ports/models.ts'
import { EDITOR_PROVIDER } from '../schema/editor.ts'
import { AppError, messageOf } from '../schema/errors.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { createModel } from './adapters.ts'
import { createBatchCalls } from './batch-calls.ts'
import { createDemoModel } from './demo.ts'
import { describeModel } from './describe.ts'
import { fetchModels, ListError } from './model-lists.ts'
import { displayUrl } from './model-errors.ts'
import { apiBase, PRESETS } from './providers.ts'

const DEMO_MODEL = describeModel(
  { name: 'loci', provider_type: 'letta', base_url: 'http://127.0.0.1', category: 'base' },
  { id: 'demo', display_name: 'Demo (a script, no language model)', context_window: 32_000, endpoint: null },
)

export interface ModelsOptions {
  /**
   * In order of preference: of two with one name the first counts. A function is asked at each use, and answers the same
   * array while nothing has changed.
   */
  providers: ProviderList | (() => ProviderList | Promise<ProviderList>)
  /** What `letta/auto` means; without it the first real model, else `loci/demo`. */
  default_handle?: string | null
  /** Look for Ollama and LM Studio on their usual ports of this machine. Default true. */
  discover_local?: boolean
  /** Where to look for them instead. */
  local_urls?: { ollama: string; lmstudio: string }
  /** How long a list is believed. Default 30 s; a failed one is asked again after 5 s. */
  list_ttl_ms?: number
  /** When a list is given up. Default 4 s; local discovery 2 s. */
  list_timeout_ms?: number
  /** Says of a model that is not there why, where there is more to say than which there are; `siblings` of its provider are. */
  absent?: (handle: string, siblings: number) => AppError | null
  /** The adapter to make for a model. Default: that of its provider's protocol. */
  create_model?: (provider: ProviderConfig, model: Model) => LanguageModel
}

/** The providers as they are at one time. */
export type ProviderList = readonly ProviderConfig[]

interface ModelList {
  models: Model[]
  /** By handle, of those whose price the list tells. */
  prices: ReadonlyMap<string, ModelPrice>
  /** Why there is no list. */
  problem: ListError | null
}

/** One provider and its list, fetched when asked for and shared by all who wait. */
interface Entry {
  provider: ProviderConfig
  /** Found by itself: silent when nothing is there. */
  discovered: boolean
  list: Promise<ModelList> | null
  /** `performance.now()` after which the list is fetched again. */
  stale_at: number
}

export interface Catalog extends Models {
  /** Asks a provider for its list now. Answers why there is none; null when there is one. */
  relist(provider: string): Promise<ModelListProblem | null>
}

/** Every model of these providers and `loci/demo`. Nothing is asked before the first call; nothing has to be closed. */
export function createModels(options: ModelsOptions): Catalog {
  const ttl = options.list_ttl_ms ?? 30_000
  const timeout = options.list_timeout_ms ?? 4000
  const create = options.create_model ?? createModel
  let known: ProviderList | null = null
  let entries: Entry[] = []
  const resolved = new Map<string, ResolvedModel>()
  const demo: ResolvedModel = { handle: 'loci/demo', info: DEMO_MODEL, language_model: createDemoModel() }

  /** Takes in the providers as they are now; what is known of those that stay as they were is kept. */
  function look(): void | Promise<void> {
    const { providers } = options
    const now = typeof providers === 'function' ? providers() : providers
    return now instanceof Promise ? now.then(take) : take(now)
  }

  function take(now: ProviderList): void {
    if (now === known) return
    known = now
    const before = entries
    entries = entriesOf(now, options).map((entry) => before.find((old) => isSame(old, entry)) ?? entry)
    for (const old of before)
      if (!entries.includes(old))
        for (const handle of resolved.keys())
          if (handle.startsWith(`${old.provider.name}/`)) resolved.delete(handle)
  }

  function listOf(entry: Entry): Promise<ModelList> {
    if (entry.list && performance.now() < entry.stale_at) return entry.list
    // Until it settles everybody shares this one; its own time limit ends it.
    entry.stale_at = Infinity
    entry.list = fetchList(entry, entry.discovered ? Math.min(timeout, 2000) : timeout).then((list) => {
      entry.stale_at = performance.now() + (list.problem ? Math.min(ttl, 5000) : ttl)
      if (entries.includes(entry)) for (const info of list.models) refresh(entry.provider, info, list.prices)
      return list
    })
    return entry.list
  }

  async function listAll() {
    await look()
    const asked = entries
    const lists = await Promise.all(asked.map(listOf))
    const models = lists.flatMap((list) => list.models)
    const problems = asked.flatMap(({ provider, discovered }, index) => {
      const problem = lists[index]?.problem
      if (!problem || (discovered && problem.absent)) return []
      return [problemOf(provider, problem)]
    })
    const prices = new Map(lists.flatMap((list) => [...list.prices]))
    return { models: [...models, DEMO_MODEL], problems, prices }
  }

  async function find(handle: string): Promise<ResolvedModel> {
    const slash = handle.indexOf('/')
    if (slash <= 0 || slash === handle.length - 1) {
      throw new AppError(
        'invalid_argument',
        `'${handle}' is not a model handle; write it as provider/model, for example openai/gpt-4.1-mini or loci/demo.`,
      )
    }
    const entry = entries.find(({ provider }) => provider.name === handle.slice(0, slash))
    if (entry) {
      const { models, prices, problem } = await listOf(entry)
      const info = models.find((model) => model.handle === handle)
      if (info) return keep(entry.provider, info, prices)
      // Nobody can say that the model is not there: let the provider itself answer. Not kept, its size is a guess.
      if (problem && !(entry.discovered && problem.absent)) {
        const guess = describeModel(entry.provider, { id: handle.slice(slash + 1) })
        const batch_calls = createBatchCalls(entry.provider, guess)
        return { handle, info: guess, language_model: create(entry.provider, guess), batch_calls }
      }
    }
    throw await notFound(handle)
  }

  function keep(provider: ProviderConfig, info: Model, prices: ModelList['prices']): ResolvedModel {
    const handle = info.handle ?? `${provider.name}/${info.name}`
    const price = prices.get(handle)
    const batch_calls = createBatchCalls(provider, info)
    const model: ResolvedModel = { handle, info, language_model: create(provider, info), batch_calls, price }
    resolved.set(handle, model)
    return model
  }

  /** A local server may have loaded a model anew, with another context size. */
  function refresh(provider: ProviderConfig, info: Model, prices: ModelList['prices']): void {
    const known = resolved.get(info.handle ?? '')
    if (known && known.info.context_window !== info.context_window) keep(provider, info, prices)
  }

  async function notFound(handle: string): Promise<AppError> {
    const { models, problems } = await listAll()
    const provider = handle.slice(0, handle.indexOf('/'))
    const own = models.filter((model) => model.provider_name === provider)
    const said = options.absent?.(handle, own.length)
    if (said) return said
    const there = (own.length > 0 ? own : models).map((model) => model.handle)
    const shown = there.slice(0, 5).join(', ') + (there.length > 5 ? `, … (${there.length} in all)` : '')
    const why = problems.map((problem) => ` ${problem.provider}: ${problem.message}.`).join('')
    return new AppError('model_not_found', `There is no model '${handle}'. There is: ${shown}.${why}`, {
      data: { handle, available: there.slice(0, 50) },
    })
  }

  async function resolve(handle: string): Promise<ResolvedModel> {
    const looking = look()
    if (looking) await looking
    const found = resolved.get(handle)
    if (found) return found
    if (handle === demo.handle) return demo
    if (handle !== 'letta/auto') return find(handle)
    const preferred = options.default_handle
    if (preferred && preferred !== handle) return resolve(preferred)
    const { models } = await listAll()
    // What an editor lends is asked when it is named, by nobody who did not choose it.
    const first = models.find(
      (model) => model !== DEMO_MODEL && model.provider_name !== EDITOR_PROVIDER,
    )?.handle
    return first ? find(first) : demo
  }

  async function relist(name: string): Promise<ModelListProblem | null> {
    await look()
    const entry = entries.find(({ provider }) => provider.name === name)
    if (!entry) return { provider: name, url: '', message: `There is no provider '${name}'` }
    entry.list = null
    const { problem } = await listOf(entry)
    return problem && problemOf(entry.provider, problem)
  }

  return { list: () => listAll(), resolve: (_actor, handle) => resolve(handle), relist }
}

function problemOf({ name }: ProviderConfig, { url, message, status }: ListError): ModelListProblem {
  return { provider: name, url, message, ...(status === undefined ? {} : { status }) }
}

function isSame(a: Entry, b: Entry): boolean {
  return a.discovered === b.discovered && isDeepStrictEqual(a.provider, b.provider)
}

/**
 * The providers, each once: those that are named, those looked for on this machine, and last those that a client has added:
 * they change nobody's default model.
 */
export function entriesOf(
  providers: ProviderList,
  options: Pick<ModelsOptions, 'discover_local' | 'local_urls'>,
): Entry[] {
  const local = PRESETS.flatMap(({ name, provider_type, base_url }) => {
    if (name !== 'ollama' && name !== 'lmstudio') return []
    const url = options.local_urls?.[name] ?? base_url
    const provider: ProviderConfig = { name, provider_type, base_url: url, category: 'base' }
    return [{ provider, discovered: true }]
  })
  const named = providers.map((provider) => ({ provider, discovered: false }))
  const entries: Entry[] = []
  for (const entry of options.discover_local === false ? named : [...named, ...local]) {
    const base = addressOf(entry.provider)
    const twice = entries.some(
      ({ provider }) =>
        provider.name === entry.provider.name || (entry.discovered && addressOf(provider) === base),
    )
    if (!twice) entries.push({ ...entry, list: null, stale_at: 0 })
  }
  const isAdded = ({ provider }: Entry) => provider.category === 'byok' && provider.updated_at !== undefined
  return [...entries.filter((entry) => !isAdded(entry)), ...entries.filter(isAdded)]
}

function addressOf(provider: ProviderConfig): string {
  return apiBase(provider).replace('//localhost', '//127.0.0.1')
}

async function fetchList({ provider }: Entry, timeout_ms: number): Promise<ModelList> {
  try {
    const listed = await fetchModels(provider, timeout_ms)
    const prices = listed.flatMap(({ id, price }) =>
      price ? [[`${provider.name}/${id}`, price] as const] : [],
    )
    return {
      models: listed.map((item) => describeModel(provider, item)),
      prices: new Map(prices),
      problem: null,
    }
  } catch (error) {
    const problem =
      error instanceof ListError ? error : new ListError(displayUrl(apiBase(provider)), messageOf(error))
    return { models: [], prices: new Map(), problem }
  }
}

import { createHash } from 'node:crypto'
import type { ModelListProblem, Models } from '../core/ports/models.ts'
import { AppError } from '../schema/errors.ts'
import type { ProviderType } from '../schema/model.ts'
import type {
  CheckProvider,
  CreateProvider,
  ProviderConfig,
  ProviderState,
  UpdateProvider,
} from '../schema/provider.ts'
import { checkProvider } from './provider-check.ts'
import { DEFAULT_ACTOR } from './context.ts'

/** The providers that users add, in config.json (design decision 4): every instance serves their models at once. */
export interface Providers {
  /** In the order in which they were added. */
  list(): Promise<ProviderState[]>
  /** Throws `conflict` for a name that is taken, `invalid_argument` without a URL where none is usual. */
  create(body: CreateProvider): Promise<ProviderState>
  update(id: string, body: UpdateProvider): Promise<ProviderState | null>
  /** False when there was none. */
  delete(id: string): Promise<boolean>
  /** Asks for its models with this key. Throws `llm_authentication` or `llm_connection`, naming URL and cause. */
  check(body: CheckProvider): Promise<void>
  /** The same for one that was added. Null when there is none. */
  checkExisting(id: string): Promise<true | null>
  /** Reads its list of models again. Null when there is none; throws as `check`. */
  refresh(id: string): Promise<ProviderState | null>
}

interface Sources {
  config: {
    current(): { providers: ProviderConfig[] } | Promise<{ providers: ProviderConfig[] }>
    update(change: (data: { providers: ProviderConfig[] }) => void): Promise<unknown>
  }
  /** Names that the environment has given. */
  taken: readonly string[]
  /** Where a provider of this type usually is; empty: anywhere. */
  usual_url: (type: ProviderType) => string
  models: { relist(provider: string): Promise<ModelListProblem | null> }
  /** The models of one provider, asked for the first time. */
  models_of: (provider: ProviderConfig) => Models
}

/** Providers over config.json. Nothing has to be closed. */
export function createProviders({ config, taken, usual_url, models, models_of }: Sources): Providers {
  const synced = new Map<string, string>()

  const all = async () => (await config.current()).providers.filter(({ category }) => category === 'byok')
  const find = async (id: string) => (await all()).find(({ name }) => idOf(name) === id) ?? null

  function stateOf(provider: ProviderConfig): ProviderState {
    return {
      id: idOf(provider.name),
      name: provider.name,
      provider_type: provider.provider_type,
      provider_category: provider.category,
      base_url: withoutPassword(provider.base_url),
      api_version: provider.api_version ?? null,
      region: null,
      api_key: null,
      access_key: null,
      api_key_enc: null,
      access_key_enc: null,
      updated_at: provider.updated_at ?? null,
      last_synced: synced.get(provider.name) ?? null,
    }
  }

  function configOf(name: string, body: CheckProvider): ProviderConfig {
    const base_url = body.base_url ?? usual_url(body.provider_type)
    if (base_url === '')
      throw new AppError(
        'invalid_argument',
        `a provider of type '${body.provider_type}' is not always at the same place: give its base_url`,
      )
    const { provider_type, api_version = null } = body
    return {
      name,
      provider_type,
      base_url,
      api_key: body.api_key.trim() || null,
      api_version,
      category: 'byok',
    }
  }

  async function ask(provider: ProviderConfig): Promise<void> {
    const checked = await checkProvider(models_of(provider), DEFAULT_ACTOR, provider)
    if (checked.problem !== null) throw failure(checked.problem, checked.status)
  }

  return {
    list: async () => (await all()).map(stateOf),
    async create(body) {
      const provider = { ...configOf(body.name, body), updated_at: new Date().toISOString() }
      await config.update((data) => {
        if (taken.includes(body.name) || data.providers.some(({ name }) => name === body.name))
          throw new AppError(
            'conflict',
            `There is a provider '${body.name}' already${taken.includes(body.name) ? ', from the environment' : ''}. ` +
              'Names are the first part of model handles: choose another one.',
          )
        data.providers.push(provider)
      })
      return stateOf(provider)
    },
    async update(id, body) {
      let changed: ProviderConfig | undefined
      await config.update((data) => {
        const at = data.providers.findIndex(({ name, category }) => category === 'byok' && idOf(name) === id)
        const before = data.providers[at]
        if (!before) return
        changed = {
          ...before,
          ...(body.api_key == null ? {} : { api_key: body.api_key.trim() || null }),
          ...(body.base_url == null ? {} : { base_url: body.base_url }),
          ...(body.api_version == null ? {} : { api_version: body.api_version }),
          updated_at: new Date().toISOString(),
        }
        data.providers[at] = changed
      })
      return changed ? stateOf(changed) : null
    },
    async delete(id) {
      let found = false
      await config.update((data) => {
        const left = data.providers.filter(({ name, category }) => category !== 'byok' || idOf(name) !== id)
        found = left.length < data.providers.length
        data.providers = left
      })
      return found
    },
    check: (body) => ask(configOf(body.provider_type, body)),
    async checkExisting(id) {
      const provider = await find(id)
      if (!provider) return null
      await ask(provider)
      return true
    },
    async refresh(id) {
      const provider = await find(id)
      if (!provider) return null
      const problem = await models.relist(provider.name)
      if (problem) throw failure(problem.message, problem.status)
      synced.set(provider.name, new Date().toISOString())
      return stateOf(provider)
    },
  }
}

/** The same id in every instance, also of a provider that was written by hand: it is made of the name. */
function idOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16)
  return `provider-${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

function failure(problem: string, status: number | undefined): AppError {
  const code = status === 401 || status === 403 ? 'llm_authentication' : 'llm_connection'
  return new AppError(code, `${problem.replace(/\.$/, '')}.`)
}

function withoutPassword(text: string): string {
  const url = URL.parse(text)
  if (!url || (url.username === '' && url.password === '')) return text
  url.username = '***'
  url.password = ''
  return url.href
}

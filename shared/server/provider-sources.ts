import type { ProviderConfig } from '../schema/provider.ts'
import type { Editors } from './editors.ts'

/** What of config.json matters here. */
interface Configured {
  providers: readonly ProviderConfig[]
}

/** The providers as they are now. */
type ProvidersNow = () => readonly ProviderConfig[] | Promise<readonly ProviderConfig[]>

/** What of a provider no log may show. */
export function secretsOf({ api_key, headers }: ProviderConfig): (string | null | undefined)[] {
  return [api_key, ...Object.values(headers ?? {})]
}

/** The providers of config.json as it is at each call, and those of the environment: one array while nothing changes. */
export function providersNow<T extends Configured>(
  config: { current(): T | Promise<T> },
  fromEnv: readonly ProviderConfig[],
  onChange: (providers: readonly ProviderConfig[]) => void,
) {
  let last: T | null = null
  let providers: readonly ProviderConfig[] = []
  const all = (data: T) => {
    if (last !== data) {
      providers = [...data.providers, ...fromEnv]
      onChange(providers)
    }
    last = data
    return providers
  }
  return () => {
    const data = config.current()
    return data instanceof Promise ? data.then(all) : all(data)
  }
}

/** The models of an editor's window beside those of the providers: one array while nothing changes. */
export function withEditor(named: ProvidersNow, editors: Editors) {
  let before: {
    list: readonly ProviderConfig[]
    editor: ProviderConfig
    all: readonly ProviderConfig[]
  } | null = null
  const join = (list: readonly ProviderConfig[], editor: ProviderConfig | null) => {
    if (!editor) return list
    if (before?.list !== list || before.editor !== editor) before = { list, editor, all: [...list, editor] }
    return before.all
  }
  return () => {
    const list = named()
    const editor = editors.provider()
    if (!(list instanceof Promise) && !(editor instanceof Promise)) return join(list, editor)
    return Promise.all([list, editor]).then(([list, editor]) => join(list, editor))
  }
}

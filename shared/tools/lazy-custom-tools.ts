import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CustomTools } from '../core/ports/custom-tools.ts'
import type { ToolApi } from './sandbox/language-tools.ts'

export interface OwnToolsOptions {
  /** The data directory, which no tool sees. */
  data: string
  /** Where Python and Node are looked for. */
  env: Record<string, string | undefined>
  /** What answers the `client` of a tool. */
  api: ToolApi
  /** Why no tool may be debugged here; null: it may. */
  debugRefused?: () => string | null
}

/** Says in the data directory that tools with the network have run: for every process, and from then on. */
const networkMark = (data: string) => join(data, 'tools', 'network')

/** Whether a tool that declares the network was ever run with this data directory. */
export function toolsHadNetwork(data: string): boolean {
  return existsSync(networkMark(data))
}

/**
 * What reads and runs the tools of users, loaded when it is first asked for: most processes never are. The caller closes
 * it.
 */
export function lazyCustomTools(options: OwnToolsOptions): CustomTools {
  let loading: Promise<CustomTools> | null = null
  const loaded = () =>
    (loading ??= load(options).catch((error: unknown) => {
      // Tried again by the next call.
      loading = null
      throw error
    }))
  return {
    derive: async (...args) => (await loaded()).derive(...args),
    check: async (...args) => (await loaded()).check(...args),
    wall: async () => (await loaded()).wall(),
    debugger: async () => (await loaded()).debugger(),
    run: async (...args) => (await loaded()).run(...args),
    close: async () => {
      await (await loading)?.close()
    },
  }
}

/** Removes what installations of packages left behind whose process died. */
export async function removeUnfinished(data: string): Promise<void> {
  const directory = environmentsOf(data)
  if (!existsSync(directory)) return
  const { removeDrafts } = await import('./requirements/environments.ts')
  await removeDrafts(directory)
}

function environmentsOf(data: string): string {
  return join(data, 'tools', 'environments')
}

async function load({ data, env, api, debugRefused }: OwnToolsOptions): Promise<CustomTools> {
  const [{ createCustomTools }, { createToolSources }] = await Promise.all([
    import('./sandbox/custom-tools.ts'),
    import('./source/sources.ts'),
  ])
  const hide = [data]
  const environments = environmentsOf(data)
  return createCustomTools({
    sources: createToolSources({ env }),
    api,
    hide,
    ...(debugRefused ? { debugRefused } : {}),
    onNetwork() {
      if (toolsHadNetwork(data)) return
      mkdirSync(join(data, 'tools'), { recursive: true, mode: 0o700 })
      writeFileSync(networkMark(data), '', { mode: 0o600 })
    },
    debuggers: {
      typescript: async (answer) => {
        const { debugTypeScript } = await import('./typescript/debug-typescript.ts')
        return debugTypeScript(answer)
      },
      python: async (answer) => {
        const [{ debugPython }, { createPipRequirements }] = await Promise.all([
          import('./python/debug-python.ts'),
          import('./requirements/pip-requirements.ts'),
        ])
        return debugPython(answer, {
          requirements: createPipRequirements({ directory: environments, env }),
          env,
        })
      },
    },
    languages: {
      typescript: async (its) => {
        const [{ createTypeScriptTools }, { createNpmRequirements }] = await Promise.all([
          import('./typescript/typescript-tools.ts'),
          import('./requirements/npm-requirements.ts'),
        ])
        const requirements = createNpmRequirements({ directory: environments, env })
        return createTypeScriptTools({ ...its, hide, requirements })
      },
      python: async (its) => {
        const [{ createPythonTools }, { createPipRequirements }] = await Promise.all([
          import('./python/python-tools.ts'),
          import('./requirements/pip-requirements.ts'),
        ])
        const requirements = createPipRequirements({ directory: environments, env })
        return createPythonTools({ ...its, env, hide, requirements })
      },
    },
  })
}

import type { CustomTools, SourceLanguage, ToolSources } from '../../core/ports/custom-tools.ts'
import {
  DEFAULT_LIMITS,
  failedCall,
  type LanguageOptions,
  type LanguageTools,
  type ToolApi,
  type ToolLimits,
} from './language-tools.ts'
import { openWall } from './wall.ts'
import type { Wall } from './walled-command.ts'

export interface CustomToolsOptions {
  sources: ToolSources
  /** What answers the `client` of a tool: the app of this process, as the actor of the call. */
  api: ToolApi
  /** Folders that no tool sees, whatever it declares: the data directory. */
  hide: readonly string[]
  /** How the tools of each language are run; made when the first one is called. */
  languages: Partial<Record<SourceLanguage, (options: LanguageOptions) => Promise<LanguageTools>>>
  limits?: ToolLimits
  /** The wall; by default the strongest that this machine can make, found when it is first asked for. */
  open?: () => Promise<Wall>
}

/** Derives and runs the tools that developers write. The caller closes it. */
export function createCustomTools(options: CustomToolsOptions): CustomTools {
  const { sources, api, hide, languages, limits = DEFAULT_LIMITS } = options
  const open = options.open ?? (() => openWall({ hide }))
  const running = new Map<SourceLanguage, Promise<LanguageTools>>()
  let wall: Promise<Wall> | undefined
  let closed = false

  const wallOnce = () => (wall ??= open())
  const language = (name: SourceLanguage) => {
    const create = languages[name]
    if (!create) return null
    const known = running.get(name)
    if (known) return known
    const made = wallOnce().then((wall) => create({ wall, api, limits }))
    running.set(name, made)
    // What could not be made is tried again by the next call.
    made.catch(() => running.delete(name))
    return made
  }

  return {
    derive: sources.derive.bind(sources),
    check: sources.check.bind(sources),
    async wall() {
      const { kind, description } = await wallOnce()
      return { kind, description }
    },
    async run(call, running) {
      running.signal.throwIfAborted()
      if (closed) return failedCall(call.name, 'Loci is shutting down')
      const tools = await language(call.source.source_type)
      if (!tools) return failedCall(call.name, `Loci runs no tools in ${call.source.source_type} here`)
      return tools.run(call, running)
    },
    async close() {
      closed = true
      await Promise.all([...running.values()].map(async (tools) => (await tools).close()))
    },
  }
}

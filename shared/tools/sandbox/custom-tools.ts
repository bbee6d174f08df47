import { isGuest } from '../../core/ports/actor.ts'
import type { CustomTools, SourceLanguage, ToolSources } from '../../core/ports/custom-tools.ts'
import { messageOf } from '../../schema/errors.ts'
import { DebugRuns, type RunDebugged } from '../debug/debug-runs.ts'
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
  /** What runs a call so that a debugger can stop it. */
  debuggers?: Partial<Record<SourceLanguage, (api: ToolApi) => Promise<RunDebugged>>>
  /** Why no tool may be debugged here; null: it may. */
  debugRefused?: () => string | null
  /** Told before a tool that declares the network is run. */
  onNetwork?: () => void
  limits?: ToolLimits
  /** The wall; by default the strongest that this machine can make, found when it is first asked for. */
  open?: () => Promise<Wall>
}

/** Derives and runs the tools that developers write. The caller closes it. */
export function createCustomTools(options: CustomToolsOptions): CustomTools {
  const { sources, api, hide, languages, debuggers = {}, limits = DEFAULT_LIMITS } = options
  const debugRuns = new DebugRuns(sources, options.debugRefused)
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
    debugger: () => Promise.resolve(debugRuns),
    async wall() {
      const { kind, description } = await wallOnce()
      return { kind, description }
    },
    async run(call, running) {
      running.signal.throwIfAborted()
      if (closed) return failedCall(call.name, 'Loci is shutting down')
      const { read, write } = call.permissions
      if (isGuest(call.actor) && read.length + write.length > 0)
        return failedCall(
          call.name,
          "it declares files of this machine (loci: read, loci: write), which tools of the server's own organisation " +
            'alone may reach',
        )
      const { source_type } = call.source
      const makeDebugger = debuggers[source_type]
      const debugged =
        makeDebugger && debugRuns.take(call, async (...args) => (await makeDebugger(api))(...args), running)
      if (debugged) return debugged
      if (call.permissions.network) options.onNetwork?.()
      let tools
      try {
        tools = await language(source_type)
      } catch (error) {
        return failedCall(call.name, `tools in ${source_type} cannot be run: ${messageOf(error)}`)
      }
      if (!tools) return failedCall(call.name, `Loci runs no tools in ${source_type} here`)
      return tools.run(call, running)
    },
    async close() {
      closed = true
      debugRuns.close()
      await Promise.all([...running.values()].map(async (tools) => (await tools).close()))
    },
  }
}

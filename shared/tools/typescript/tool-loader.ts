import { isBuiltin, registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { WorkerSettings } from './worker-call.ts'

/** The name of a tool's source in traces. */
const FILE = 'tool.ts'
const REHEARSAL = 'file:///rehearsal.js'

/**
 * Loads the code of a tool as a module: it may import what is built in, `zod`, `loci/tool` and its requirements. Once in
 * a process: the same module comes back, with what it remembers.
 */
export function toolLoader({ modules, requirements, debug }: WorkerSettings): {
  url: string
  load(code: string): Promise<Record<string, unknown>>
  /** Loads a module that does nothing: the first one that is loaded costs milliseconds. */
  rehearse(): Promise<unknown>
} {
  const url = pathToFileURL(debug ?? join(requirements ?? process.cwd(), FILE)).href
  const own = new Map(
    (['loci/tool', 'zod'] as const).map((name) => [name as string, pathToFileURL(modules[name]).href]),
  )
  let source = ''
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === url || specifier === REHEARSAL) return { url: specifier, shortCircuit: true }
      if (context.parentURL !== url || isBuiltin(specifier)) return next(specifier, context)
      try {
        return next(specifier, context)
      } catch (error) {
        // What is among the requirements comes before what Loci brings.
        const brought = own.get(specifier)
        if (brought) return { url: brought, shortCircuit: true }
        if (!/^(@[\w.-]+\/)?[\w-]/.test(specifier) || specifier.includes(':')) throw error
        throw new Error(
          `'${specifier}' is not there: name it in npm_requirements, or import one of ${[...own.keys()].join(', ')}`,
          { cause: error },
        )
      }
    },
    load(asked, context, next) {
      if (asked === url) return { format: 'module', source, shortCircuit: true }
      if (asked === REHEARSAL) return { format: 'module', source: 'export default 1', shortCircuit: true }
      return next(asked, context)
    },
  })
  return {
    url,
    load(code) {
      source ||= code
      return import(url) as Promise<Record<string, unknown>>
    },
    rehearse: () => import(REHEARSAL),
  }
}

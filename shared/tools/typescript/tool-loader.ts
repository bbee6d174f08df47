import { isBuiltin, registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { WorkerSettings } from './worker-call.ts'

/** The name of a tool's source in traces. */
const FILE = 'tool.ts'

/**
 * Loads the code of a tool as a module: it may import what is built in, `zod`, `loci/tool` and its requirements. Once in
 * a process: the same module comes back, with what it remembers.
 */
export function toolLoader({ modules, requirements }: WorkerSettings): {
  url: string
  load(code: string): Promise<Record<string, unknown>>
} {
  const url = pathToFileURL(join(requirements ?? process.cwd(), FILE)).href
  const own = new Map(
    (['loci/tool', 'zod'] as const).map((name) => [name as string, pathToFileURL(modules[name]).href]),
  )
  let source = ''
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === url) return { url, shortCircuit: true }
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
    load: (asked, context, next) =>
      asked === url ? { format: 'module', source, shortCircuit: true } : next(asked, context),
  })
  return {
    url,
    load(code) {
      source ||= code
      return import(url) as Promise<Record<string, unknown>>
    },
  }
}

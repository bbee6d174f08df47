import { existsSync } from 'node:fs'

/**
 * Arguments for Node with which unit tests find `loci/tool` and `zod` also where they are not installed, as the tools
 * themselves do when they run. Without any on a Node that cannot do it.
 */
export function testImports(): string[] {
  // A chunk of the build, or a file of its own in dist.
  const dist = ['../', './']
    .map((folder) => new URL(folder, import.meta.url))
    .find((folder) => existsSync(new URL('tool.js', folder)) && existsSync(new URL('zod.js', folder)))
  if (!dist) return []
  const brought = { 'loci/tool': new URL('tool.js', dist).href, zod: new URL('zod.js', dist).href }
  const code = `import * as module from 'node:module'
const brought = new Map(Object.entries(${JSON.stringify(brought)}))
module.registerHooks?.({
  resolve(specifier, context, next) {
    const url = brought.get(specifier)
    if (url === undefined) return next(specifier, context)
    try {
      return next(specifier, context)
    } catch {
      return { url, shortCircuit: true }
    }
  },
})`
  return [`--import=data:text/javascript;base64,${Buffer.from(code).toString('base64')}`]
}

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * The files behind what a TypeScript tool may import besides built-in modules and its requirements, absolute paths: one
 * file each, without imports of their own in a build; from source `zod` is the entry of its package.
 */
export function toolModules(): Record<'loci/tool' | 'zod', string> {
  const own = new URL('./tool.ts', import.meta.url)
  if (existsSync(own))
    return { 'loci/tool': fileURLToPath(own), zod: fileURLToPath(import.meta.resolve('zod')) }
  // A chunk of the build, or a file of its own in dist.
  const chunk = new URL('../tool.js', import.meta.url)
  const [tool, zod] = existsSync(chunk) ? ['../tool.js', '../zod.js'] : ['./tool.js', './zod.js']
  return {
    'loci/tool': fileURLToPath(new URL(tool, import.meta.url)),
    zod: fileURLToPath(new URL(zod, import.meta.url)),
  }
}

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * Where a Python script of ours lies, an absolute path: beside this file, or in `dist/python`, where the build puts every
 * `shared/tools/python/*.py`. Throws for one that is not there.
 */
export function pythonScript(name: string): string {
  // This file itself, a chunk of the build, a file of its own in dist.
  for (const place of [`./${name}`, `../python/${name}`, `./python/${name}`]) {
    const path = fileURLToPath(new URL(place, import.meta.url))
    if (existsSync(path)) return path
  }
  throw new Error(`${name} is missing from this installation of Loci: install it again`)
}

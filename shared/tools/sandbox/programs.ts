import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

/** Where the system keeps its programs; the wall shows these folders, and nothing else of the machine. */
export const SYSTEM_FOLDERS = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/nix/store']

/** A program of the system by name, absolute; null when `search` (a PATH) has none in the system's own folders. */
export function findProgram(name: string, search: string): string | null {
  for (const folder of search.split(':')) {
    if (!SYSTEM_FOLDERS.some((system) => folder === system || folder.startsWith(`${system}/`))) continue
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // Not here: the next folder.
    }
  }
  return null
}

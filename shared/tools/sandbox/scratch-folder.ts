import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, realpathSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A scratch folder on disk, where the wall cannot make one in memory. Its mode is 0700. */
export function makeScratch(): string {
  return realpathSync(mkdtempSync(join(tmpdir(), 'loci-tool-')))
}

/** Removes a scratch folder when the program has ended; what cannot be removed is left to the system. */
export function removeWith(child: ChildProcess, folder: string): void {
  const remove = () => void rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined)
  child.once('exit', remove)
  child.once('error', remove)
}

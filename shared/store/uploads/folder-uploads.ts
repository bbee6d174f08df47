import { existsSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { IncomingUpload, LyingUpload, UploadStore } from '../../core/ports/upload-store.ts'

const PAGE = 500

/** Uploads in a folder of this machine, for the processes of this machine. */
export class FolderUploads implements UploadStore {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async begin(file_id: string): Promise<IncomingUpload> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const path = join(this.#directory, file_id)
    const handle = await open(`${path}.part`, 'w', 0o600)
    return {
      write: (bytes) => handle.writeFile(bytes),
      async finish() {
        await handle.sync()
        await handle.close()
        await rename(`${path}.part`, path)
      },
      async abort() {
        await handle.close().catch(() => undefined)
        // What stays is found by its age.
        await rm(`${path}.part`, { force: true }).catch(() => undefined)
      },
    }
  }

  async fetch(file_id: string) {
    const path = join(this.#directory, file_id)
    return existsSync(path) ? { path, close: async () => undefined } : null
  }

  discard(name: string): Promise<void> {
    return rm(join(this.#directory, name), { force: true })
  }

  async *lying(): AsyncGenerator<LyingUpload[]> {
    if (!existsSync(this.#directory)) return
    const found: LyingUpload[] = []
    for (const name of await readdir(this.#directory)) {
      // Another process may be faster.
      const stats = await stat(join(this.#directory, name)).catch(() => null)
      if (stats) found.push({ name, quiet_ms: Date.now() - stats.mtimeMs })
    }
    for (let at = 0; at < found.length; at += PAGE) yield found.slice(at, at + PAGE)
  }

  /** Its folder is part of the data directory, which was opened. */
  async check(): Promise<void> {}
}

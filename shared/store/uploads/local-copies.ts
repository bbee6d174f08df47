import { existsSync } from 'node:fs'
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { LocalUpload } from '../../core/ports/upload-store.ts'
import { isAppError, messageOf } from '../../schema/errors.ts'
import { unavailable } from '../sql/errors.ts'

const ENDING = '.copy'
/** No upload is read for so long: the process that made this copy is gone. In milliseconds. */
const LEFT_AFTER_MS = 60 * 60_000

/** Copies of uploads that are kept elsewhere, while they are read on this machine. */
export class LocalCopies {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Writes a copy; the caller closes it. Throws what reading the bytes throws, and `store_unavailable` for this disk. */
  async make(file_id: string, bytes: AsyncIterable<Uint8Array>): Promise<LocalUpload> {
    const path = join(this.#directory, `${file_id}.${crypto.randomUUID()}${ENDING}`)
    const close = () => rm(path, { force: true })
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      const handle = await open(path, 'wx', 0o600)
      try {
        for await (const some of bytes) await handle.writeFile(some)
      } finally {
        await handle.close()
      }
      return { path, close }
    } catch (error) {
      await close()
      if (isAppError(error) || !(error instanceof Error && 'syscall' in error)) throw error
      throw unavailable(`An upload cannot be copied to ${this.#directory}: ${messageOf(error)}.`, error)
    }
  }

  /** Removes what dead processes have left. */
  async sweep(): Promise<void> {
    if (!existsSync(this.#directory)) return
    for (const name of await readdir(this.#directory)) {
      if (!name.endsWith(ENDING)) continue
      const path = join(this.#directory, name)
      // Another process may be faster.
      const stats = await stat(path).catch(() => null)
      if (stats && Date.now() - stats.mtimeMs > LEFT_AFTER_MS) await rm(path, { force: true })
    }
  }
}

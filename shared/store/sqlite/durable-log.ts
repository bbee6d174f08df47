import { promises as fs } from 'node:fs'
import { dirname } from 'node:path'
import { asStoreError } from './errors.ts'

/**
 * Puts what was committed to the write-ahead log on disk, outside the event loop. Commits that wait at the same time
 * share one flush: under load one covers many.
 */
export class DurableLog {
  readonly #path: string
  #file: Promise<fs.FileHandle> | null = null
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null

  constructor(database_path: string) {
    this.#path = `${database_path}-wal`
  }

  /** Resolves when everything that was committed before this call is on disk. Throws `store_unavailable`. */
  flush(): Promise<void> {
    // A flush that has begun may have missed our commit: wait for the one after it.
    if (this.#running) return (this.#next ??= this.#running.catch(() => undefined).then(() => this.#start()))
    return this.#start()
  }

  /** Waits for flushes under way, then closes the file. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#running, this.#next])
    await (await this.#file)?.close()
    this.#file = null
  }

  #start(): Promise<void> {
    this.#next = null
    this.#running = this.#sync().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  async #sync(): Promise<void> {
    try {
      this.#file ??= openLog(this.#path)
      await (await this.#file).datasync()
    } catch (error) {
      this.#file = null
      throw asStoreError(error, this.#path)
    }
  }
}

async function openLog(path: string): Promise<fs.FileHandle> {
  // Writable, because Windows flushes no other handle.
  const file = await fs.open(path, 'r+')
  if (process.platform !== 'win32') {
    // The log is new: its name must be on disk too.
    const directory = await fs.open(dirname(path))
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }
  return file
}

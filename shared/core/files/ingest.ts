import { isAppError, messageOf } from '../../schema/errors.ts'
import type { FileParser } from '../ports/file-parser.ts'
import type { FileClaim, FileOutcome, FileStore } from '../ports/file-store.ts'

/** Claims of a file after which it is given up: what is in it ends the process. */
const MAX_ATTEMPTS = 3

/**
 * Reads uploaded files, one at a time, until there are none: those of this process, and those that a dead one left. Every
 * file ends `completed` or `error` with a text.
 */
export class FileIngest {
  readonly #files: FileStore
  readonly #parser: FileParser
  readonly #onFailure: (where: string, error: unknown) => void
  readonly #stopping = new AbortController()
  #working: Promise<void> | null = null
  #again = false

  constructor(files: FileStore, parser: FileParser, onFailure: (where: string, error: unknown) => void) {
    this.#files = files
    this.#parser = parser
    this.#onFailure = onFailure
  }

  /** Looks for files to read. Never throws; a failure of the store is reported, and the next wake tries again. */
  wake(): void {
    if (this.#stopping.signal.aborted) return
    this.#again = true
    this.#working ??= this.#work()
      .catch((error: unknown) => this.#onFailure('reading files', error))
      .finally(() => {
        this.#working = null
        if (this.#again) this.wake()
      })
  }

  /** Removes the upload of a file that was deleted before it was read. */
  forget(file_id: string): Promise<void> {
    return this.#parser.discard(file_id)
  }

  /** Removes what deleted files and broken uploads have left. */
  async tidy(): Promise<void> {
    await this.#files.sweep()
    const lying = await this.#parser.leftovers()
    const needed = new Set(await this.#files.unread(lying))
    for (const id of lying) if (!needed.has(id)) await this.#parser.discard(id)
  }

  /** Stops reading; the file that is being read waits for another instance or the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#working
    this.#parser.close()
  }

  async #work(): Promise<void> {
    while (this.#again && !this.#stopping.signal.aborted) {
      this.#again = false
      for (;;) {
        if (this.#stopping.signal.aborted) return
        const claim = await this.#files.claim({ max_attempts: MAX_ATTEMPTS })
        if (!claim) break
        await this.#read(claim)
      }
    }
  }

  async #read(claim: FileClaim): Promise<void> {
    const outcome = await this.#parse(claim)
    if (outcome === 'stopped') return this.#files.release(claim)
    if (outcome !== 'lost') await this.#files.finish(claim, outcome)
    // Another instance that has taken it over still needs the upload.
    if ((await this.#files.unread([claim.file_id])).length === 0) await this.#parser.discard(claim.file_id)
  }

  async #parse(claim: FileClaim): Promise<FileOutcome | 'stopped' | 'lost'> {
    const { signal } = this.#stopping
    const note = (text: string | null) => this.#files.note(claim, text)
    const parsing = this.#parser.parse(claim, { signal, note })
    try {
      for (;;) {
        const next = await parsing.next()
        if (next.done) return { status: 'completed', ...next.value }
        if (!(await this.#files.append(claim, next.value))) return 'lost'
      }
    } catch (error) {
      if (signal.aborted) return 'stopped'
      // A store that fails is no fault of the file: it is read again.
      if (isAppError(error) && error.code.startsWith('store_')) throw error
      return { status: 'error', message: messageOf(error) }
    } finally {
      await parsing.return({ type: '', lines: 0, characters: 0 })
    }
  }
}

import { isAppError, messageOf } from '../../schema/errors.ts'
import type { FileParser } from '../ports/file-parser.ts'
import type { FileClaim, FileOutcome, FileStore } from '../ports/file-store.ts'

/** Claims of a file after which it is given up: what is in it ends the process. */
const MAX_ATTEMPTS = 3

/** What is read beside a large or slow file: files of at most so many bytes, for so long. */
const QUICK = { max_size: 1024 * 1024, time_ms: 15_000 }
/** An upload without a file in the store belongs to a process that died when nothing has come for so long. */
const ABANDONED_AFTER_MS = 15 * 60_000

/** `any`: what waits for longest. `quick`: the smallest of the small ones. */
type Lane = 'any' | 'quick'

/**
 * Reads uploaded files until there are none: those of this process, and those that a dead one left. Two at a time, of
 * which one is small: it waits for no large one, and for none that takes long. Every file ends `completed` or `error`
 * with a text.
 */
export class FileIngest {
  readonly #quick: typeof QUICK
  readonly #onRefused: (file_id: string) => void
  readonly #files: FileStore
  readonly #parser: FileParser
  readonly #onFailure: (where: string, error: unknown) => void
  readonly #stopping = new AbortController()
  readonly #working = new Map<Lane, Promise<void>>()
  readonly #again = new Set<Lane>()
  /** Small files that took long; they are read like large ones. */
  readonly #slow = new Set<string>()

  constructor(
    files: FileStore,
    parser: FileParser,
    onFailure: (where: string, error: unknown) => void,
    options: { quick?: Partial<typeof QUICK>; onRefused?: (file_id: string) => void } = {},
  ) {
    this.#quick = { ...QUICK, ...options.quick }
    this.#onRefused = options.onRefused ?? (() => undefined)
    this.#files = files
    this.#parser = parser
    this.#onFailure = onFailure
  }

  /** Looks for files to read. Never throws; a failure of the store is reported, and the next wake tries again. */
  wake(): void {
    this.#wake('any')
    this.#wake('quick')
  }

  #wake(lane: Lane): void {
    if (this.#stopping.signal.aborted) return
    this.#again.add(lane)
    if (this.#working.has(lane)) return
    const work = this.#work(lane)
      .catch((error: unknown) => this.#onFailure('reading files', error))
      .finally(() => {
        this.#working.delete(lane)
        if (this.#again.has(lane)) this.#wake(lane)
      })
    this.#working.set(lane, work)
  }

  /** Removes the upload of a file that was deleted before it was read. */
  forget(file_id: string): Promise<void> {
    return this.#parser.discard(file_id)
  }

  /** Removes what deleted files and broken uploads have left. */
  async tidy(): Promise<void> {
    await this.#files.sweep()
    const lying = await this.#parser.uploads()
    const names = lying.map(({ name }) => name)
    // In this order: one that is added in between is not known.
    const known = new Set(await this.#files.known(names))
    const unread = new Set(await this.#files.unread(names))
    for (const { name, quiet_ms } of lying) {
      const over = known.has(name) ? !unread.has(name) : quiet_ms > ABANDONED_AFTER_MS
      if (over) await this.#parser.discard(name)
    }
  }

  /** Stops reading; the file that is being read waits for another instance or the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#working.values())
    this.#parser.close()
  }

  async #work(lane: Lane): Promise<void> {
    const quick = { max_size: this.#quick.max_size, except: this.#slow }
    while (this.#again.has(lane) && !this.#stopping.signal.aborted) {
      this.#again.delete(lane)
      for (;;) {
        if (this.#stopping.signal.aborted) return
        const order = lane === 'quick' ? { quick } : {}
        const claim = await this.#files.claim({ max_attempts: MAX_ATTEMPTS, ...order })
        if (!claim) break
        await this.#read(claim, lane)
      }
    }
  }

  async #read(claim: FileClaim, lane: Lane): Promise<void> {
    const { signal } = this.#stopping
    const slow = new AbortController()
    const timer = lane === 'quick' ? setTimeout(() => slow.abort(), this.#quick.time_ms) : undefined
    const outcome = await this.#parse(claim, AbortSignal.any([signal, slow.signal]), (text) => {
      // What takes long before there is any text is nothing for this lane.
      if (lane === 'quick' && text !== null) slow.abort()
    })
    clearTimeout(timer)
    if (outcome === 'stopped') {
      if (!signal.aborted) this.#slow.add(claim.file_id)
      await this.#files.release(claim)
      return this.#wake('any')
    }
    this.#slow.delete(claim.file_id)
    if (outcome !== 'lost') await this.#files.finish(claim, outcome)
    if (outcome !== 'lost' && outcome.status === 'error') this.#onRefused(claim.file_id)
    // Another instance that has taken it over still needs the upload.
    if ((await this.#files.unread([claim.file_id])).length === 0) await this.#parser.discard(claim.file_id)
  }

  async #parse(
    claim: FileClaim,
    signal: AbortSignal,
    hear: (text: string | null) => void,
  ): Promise<FileOutcome | 'stopped' | 'lost'> {
    const note = (text: string | null) => {
      hear(text)
      signal.throwIfAborted()
      return this.#files.note(claim, text)
    }
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

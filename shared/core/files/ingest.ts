import { isAppError, messageOf } from '../../schema/errors.ts'
import type { FileParser } from '../ports/file-parser.ts'
import type { FileClaim, FileOutcome, FileStore } from '../ports/file-store.ts'
import type { LocalUpload, UploadStore } from '../ports/upload-store.ts'

/** Claims of a file after which it is given up: what is in it ends the process. */
const MAX_ATTEMPTS = 3

/** What is read beside a large or slow file: files of at most so many bytes, for so long. */
const QUICK = { max_size: 1024 * 1024, time_ms: 15_000 }
/** An upload without a file in the store belongs to a process that died when nothing has come for so long. */
const ABANDONED_AFTER_MS = 15 * 60_000
/** How long nothing is read after uploads could not be fetched, at first and at the most. */
const REST_MS = { first: 1_000, most: 60_000 }
const GONE = 'its upload is gone before it was read (as after a restored backup); upload it again'
const WAITS = 'Its upload cannot be fetched at the moment; it is read when that works again.'

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
  readonly #uploads: UploadStore
  readonly #parser: FileParser
  readonly #abandonedAfter: number
  readonly #onFailure: (where: string, error: unknown) => void
  readonly #stopping = new AbortController()
  readonly #working = new Map<Lane, Promise<void>>()
  readonly #again = new Set<Lane>()
  /** Small files that took long; they are read like large ones. */
  readonly #slow = new Set<string>()
  #rest = { ms: 0, until: 0 }

  constructor(
    { files, uploads, parser }: { files: FileStore; uploads: UploadStore; parser: FileParser },
    onFailure: (where: string, error: unknown) => void,
    options: {
      quick?: Partial<typeof QUICK>
      onRefused?: (file_id: string) => void
      /** Milliseconds an upload may take to come, beyond a quarter of an hour. */
      upload_ms?: number
    } = {},
  ) {
    this.#quick = { ...QUICK, ...options.quick }
    this.#onRefused = options.onRefused ?? (() => undefined)
    this.#abandonedAfter = ABANDONED_AFTER_MS + (options.upload_ms ?? 0)
    this.#files = files
    this.#uploads = uploads
    this.#parser = parser
    this.#onFailure = onFailure
  }

  /** Looks for files to read. Never throws; a failure of the store is reported, and the next wake tries again. */
  wake(): void {
    this.#wake('any')
    this.#wake('quick')
  }

  #wake(lane: Lane): void {
    if (this.#stopping.signal.aborted || performance.now() < this.#rest.until) return
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

  /** Removes the upload of a file that needs it no more. Never throws: a failure is reported, and `tidy` does it later. */
  async forget(file_id: string): Promise<void> {
    try {
      await this.#uploads.discard(file_id)
    } catch (error) {
      this.#onFailure('removing an upload', error)
    }
  }

  /** Removes what deleted files and broken uploads have left. */
  async tidy(): Promise<void> {
    await this.#files.sweep()
    for await (const lying of this.#uploads.lying()) {
      const names = lying.map(({ name }) => name)
      // In this order: one that is added in between is not known.
      const known = new Set(await this.#files.known(names))
      const unread = new Set(await this.#files.unread(names))
      for (const { name, quiet_ms } of lying) {
        const over = known.has(name) ? !unread.has(name) : quiet_ms > this.#abandonedAfter
        if (over) await this.#uploads.discard(name)
      }
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
    let outcome: FileOutcome | 'stopped' | 'lost'
    try {
      outcome = await this.#parse(claim, AbortSignal.any([signal, slow.signal]), (text) => {
        // What takes long before there is any text is nothing for this lane.
        if (lane === 'quick' && text !== null) slow.abort()
      })
    } catch (error) {
      // Whoever can read it is to have it; what fails here as well is told already.
      await this.#files.release(claim).catch(() => undefined)
      throw error
    } finally {
      clearTimeout(timer)
    }
    if (outcome === 'stopped') {
      if (!signal.aborted) this.#slow.add(claim.file_id)
      await this.#files.release(claim)
      return this.#wake('any')
    }
    this.#slow.delete(claim.file_id)
    if (outcome !== 'lost') await this.#files.finish(claim, outcome)
    if (outcome !== 'lost' && outcome.status === 'error') this.#onRefused(claim.file_id)
    // Another instance that has taken it over still needs the upload.
    if ((await this.#files.unread([claim.file_id])).length === 0) await this.forget(claim.file_id)
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
    let upload: LocalUpload | null = null
    try {
      upload = await this.#fetch(claim, signal)
      if (!upload) return { status: 'error', message: GONE }
      const parsing = this.#parser.parse(claim, { path: upload.path, signal, note })
      try {
        for (;;) {
          const next = await parsing.next()
          if (next.done) return { status: 'completed', ...next.value }
          if (!(await this.#files.append(claim, next.value))) return 'lost'
        }
      } finally {
        await parsing.return({ type: '', lines: 0, characters: 0 })
      }
    } catch (error) {
      if (signal.aborted) return 'stopped'
      // A store that fails is no fault of the file: it is read again.
      if (isAppError(error) && error.code.startsWith('store_')) throw error
      return { status: 'error', message: messageOf(error) }
    } finally {
      await upload?.close()
    }
  }

  /** After a failure nothing is read for a while, which grows. */
  async #fetch(claim: FileClaim, signal: AbortSignal): Promise<LocalUpload | null> {
    try {
      const upload = await this.#uploads.fetch(claim.file_id, { signal })
      this.#rest.ms = 0
      return upload
    } catch (error) {
      if (signal.aborted) throw error
      const ms = Math.min(Math.max(this.#rest.ms * 2, REST_MS.first), REST_MS.most)
      this.#rest = { ms, until: performance.now() + ms }
      await this.#files.note(claim, WAITS)
      throw error
    }
  }
}

import { existsSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { FileParser, ParsedFile } from '../../core/ports/file-parser.ts'
import type { FileBatch, FileClaim } from '../../core/ports/file-store.ts'

/** What the worker is given. */
export interface ParseJob {
  path: string
  name: string
  chunk_chars: number
  /** Where parsers are looked for that did not come with this Loci. */
  parsers: string
}

/** What the worker says; it waits for an answer after each batch. */
export type ParseReport =
  | ({ kind: 'batch' } & FileBatch)
  | ({ kind: 'end' } & ParsedFile)
  | { kind: 'error'; message: string }

export interface FileParserOptions {
  /** Holds the uploads, each under the id of its file. */
  directory: string
  parsers: string
  /** A file that takes longer is given up; 10 minutes by default. */
  timeout_ms?: number
}

/** A file that takes more is given up. */
const MAX_MEMORY_MB = 768
const WATCH_EVERY_MS = 200
/** An upload whose file is not in the store by then belongs to a process that died. */
const LEFTOVER_AFTER_MS = 60 * 60_000

/** Reads uploads in a thread of their own, so that neither a large nor a hostile one holds up this process. */
export function createFileParser(options: FileParserOptions): FileParser {
  const { directory, parsers, timeout_ms = 10 * 60_000 } = options
  return {
    parse: (claim, { signal }) => parse(claim, { directory, parsers, timeout_ms, signal }),
    discard: (file_id) => rm(join(directory, file_id), { force: true }),
    async leftovers() {
      if (!existsSync(directory)) return []
      const names: string[] = []
      for (const name of await readdir(directory)) {
        // Another process may be faster.
        const found = await stat(join(directory, name)).catch(() => null)
        if (found && Date.now() - found.mtimeMs > LEFTOVER_AFTER_MS) names.push(name)
      }
      return names
    },
  }
}

async function* parse(
  claim: FileClaim,
  options: { directory: string; parsers: string; timeout_ms: number; signal: AbortSignal },
): AsyncGenerator<FileBatch, ParsedFile> {
  const { signal, timeout_ms, directory, parsers } = options
  signal.throwIfAborted()
  const job: ParseJob = {
    path: join(directory, claim.file_id),
    name: claim.name,
    chunk_chars: claim.chunk_chars,
    parsers,
  }
  const worker = new Worker(workerFile(), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: MAX_MEMORY_MB },
    // Nothing of this process's environment is the file's business.
    env: {},
    execArgv: [],
    // Parsers warn on the console, which is nobody's here.
    stdout: true,
    stderr: true,
  })
  const { promise: broken, reject } = Promise.withResolvers<never>()
  // Not only those who wait right now shall hear of it.
  broken.catch(() => undefined)
  let wake: (report: ParseReport) => void = () => undefined
  const abort = () => reject(signal.reason as Error)
  const tooMuch = () => reject(new Error(`reading it takes more than ${MAX_MEMORY_MB} MB of memory`))
  const timer = setTimeout(
    () => reject(new Error(`reading it takes longer than ${timeout_ms / 1000} s`)),
    timeout_ms,
  )
  const watchMemory = async () => {
    const { external_memory } = await worker.getHeapStatistics()
    if (external_memory > MAX_MEMORY_MB * 1024 * 1024) tooMuch()
  }
  // The limit of the thread does not count what lies outside of its heap, as the content of a buffer does.
  const watch = setInterval(() => {
    // It may have ended.
    watchMemory().catch(() => undefined)
  }, WATCH_EVERY_MS)
  signal.addEventListener('abort', abort, { once: true })
  worker.on('message', (report: ParseReport) => wake(report))
  worker.once('error', (error: Error & { code?: string }) =>
    error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? tooMuch() : reject(error),
  )
  worker.once('exit', (code) => reject(new Error(`its reader ended with code ${code}`)))
  try {
    for (;;) {
      const said = new Promise<ParseReport>((resolve) => {
        wake = resolve
      })
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
      worker.postMessage('next')
      const report = await Promise.race([said, broken])
      if (report.kind === 'error') throw new Error(report.message)
      if (report.kind === 'end') {
        const { type, lines, characters } = report
        return { type, lines, characters }
      }
      yield { pieces: report.pieces, chunks: report.chunks }
    }
  } finally {
    clearTimeout(timer)
    clearInterval(watch)
    signal.removeEventListener('abort', abort)
    await worker.terminate()
  }
}

/** Beside this file: its own source, or what the build made of it. */
function workerFile(): URL {
  const source = new URL('./parse-worker.ts', import.meta.url)
  return existsSync(source) ? source : new URL('../parse-worker.js', import.meta.url)
}

import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

export interface PageInput {
  html: string
  /** Where it came from; relative links become absolute with it. */
  url: string
}

export interface Page {
  title: string
  markdown: string
}

/** A page that takes more is given up. */
const MAX_MEMORY_MB = 256

/**
 * Reads an HTML page as Markdown, in a thread of its own: neither a long nor a hostile page holds up this process.
 * Throws after `timeout_ms` (15 s), when the page takes too much memory, and on an abort.
 */
export async function readPage(
  input: PageInput,
  options: { signal: AbortSignal; timeout_ms?: number },
): Promise<Page> {
  const timeout_ms = options.timeout_ms ?? 15_000
  options.signal.throwIfAborted()
  const worker = new Worker(workerFile(), {
    workerData: input,
    resourceLimits: { maxOldGenerationSizeMb: MAX_MEMORY_MB },
    // Nothing of this process's environment is the page's business.
    env: {},
    execArgv: [],
  })
  const { promise, resolve, reject } = Promise.withResolvers<Page>()
  const abort = () => reject(options.signal.reason as Error)
  const timer = setTimeout(
    () => reject(new Error(`the page took longer than ${timeout_ms / 1000} s to read`)),
    timeout_ms,
  )
  options.signal.addEventListener('abort', abort, { once: true })
  worker.once('message', resolve)
  worker.once('error', (error: Error & { code?: string }) =>
    reject(
      error.code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? new Error(`the page took more than ${MAX_MEMORY_MB} MB to read`)
        : new Error(`the page could not be read: ${error.message}`, { cause: error }),
    ),
  )
  worker.once('exit', (code) => reject(new Error(`the page could not be read (exit code ${code})`)))
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    options.signal.removeEventListener('abort', abort)
    await worker.terminate()
  }
}

/** Beside this file: its own source, or what the build made of it. */
function workerFile(): URL {
  const source = new URL('./page-worker.ts', import.meta.url)
  return existsSync(source) ? source : new URL('../page-worker.js', import.meta.url)
}

import { existsSync } from 'node:fs'
import { Reader, ReaderError } from '../reader/reader.ts'

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
 * Reads an HTML page as Markdown, in a process of its own: neither a long nor a hostile page holds up or ends this one.
 * Throws after `timeout_ms` (15 s), when the page takes too much memory, and on an abort.
 */
export async function readPage(
  input: PageInput,
  options: { signal: AbortSignal; timeout_ms?: number },
): Promise<Page> {
  const timeout_ms = options.timeout_ms ?? 15_000
  options.signal.throwIfAborted()
  const timeout = AbortSignal.timeout(timeout_ms)
  const reader = new Reader()
  try {
    const signal = AbortSignal.any([options.signal, timeout])
    return (await reader.begin(workerFile(), input, MAX_MEMORY_MB, signal)) as Page
  } catch (error) {
    options.signal.throwIfAborted()
    throw new Error(problemOf(error, timeout.aborted ? timeout_ms : null), { cause: error })
  } finally {
    reader.kill()
  }
}

function problemOf(error: unknown, late_ms: number | null): string {
  if (late_ms !== null) return `the page took longer than ${late_ms / 1000} s to read`
  if (error instanceof ReaderError && error.reason === 'memory')
    return `the page took more than ${MAX_MEMORY_MB} MB to read`
  const { message } = error as Error
  if (message === 'Maximum call stack size exceeded') return 'the page is nested too deeply to be read'
  return `the page could not be read: ${message}`
}

/** Beside this file: its own source, or what the build made of it. */
function workerFile(): URL {
  const source = new URL('./page-worker.ts', import.meta.url)
  return existsSync(source) ? source : new URL('../page-worker.js', import.meta.url)
}

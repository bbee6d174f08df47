import { existsSync } from 'node:fs'
import type { FileParser, ParsedFile } from '../../core/ports/file-parser.ts'
import type { FileBatch, FileClaim } from '../../core/ports/file-store.ts'
import { Reader, ReaderError } from '../reader/reader.ts'
import type { ParserInstaller } from './install-parsers.ts'

/** What the worker is given. */
export interface ParseJob {
  path: string
  name: string
  chunk_chars: number
  /** Where parsers are looked for that did not come with this Loci. */
  parsers: readonly string[]
}

/** What the worker says; it waits for an answer after each batch. */
export type ParseReport =
  | ({ kind: 'batch' } & FileBatch)
  | ({ kind: 'end' } & ParsedFile)
  | { kind: 'error'; message: string }
  /** A parser that did not come with this Loci is not installed. */
  | { kind: 'missing' }

export interface FileParserOptions {
  /** Where parsers are that a user installed. */
  parsers: string
  /** Gets the parsers that did not come with this Loci. */
  installer?: ParserInstaller
  /** A file that takes longer is given up; 10 minutes by default. */
  timeout_ms?: number
}

/** A file that takes more is given up. */
const MAX_MEMORY_MB = 768
/** How long a process waits for another file. */
const SPARE_MS = 5_000

/**
 * Reads uploads in processes of their own, so that neither a large nor a hostile one holds up or ends this one. One that
 * has read its file waits a moment for another.
 */
export function createFileParser(options: FileParserOptions): FileParser {
  const { installer, timeout_ms = 10 * 60_000 } = options
  const parsers = [options.parsers, ...(installer ? [installer.target] : [])]
  let spare: { reader: Reader; timer: NodeJS.Timeout } | null = null
  let closed = false
  const takeReader = (): Reader => {
    const taken = spare
    spare = null
    clearTimeout(taken?.timer)
    return taken?.reader.wake() ? taken.reader : new Reader()
  }
  const endSpare = () => {
    clearTimeout(spare?.timer)
    spare?.reader.kill()
    spare = null
  }
  const giveBack = async (reader: Reader) => {
    await reader.rest(AbortSignal.timeout(SPARE_MS)).catch(() => reader.kill())
    if (closed || spare) return reader.kill()
    spare = { reader, timer: setTimeout(endSpare, SPARE_MS).unref() }
  }

  async function* parse(
    claim: FileClaim,
    { path, signal, note }: Parameters<FileParser['parse']>[1],
  ): AsyncGenerator<FileBatch, ParsedFile> {
    const parsed = yield* read(claim, path, signal)
    if (parsed) return parsed
    if (!installer)
      throw new Error(
        'the parsers for PDF, DOCX and XLSX are not here, and this Loci may not install them (LOCI_INSTALL_PARSERS=0)',
      )
    await note?.('The parsers for PDF, DOCX and XLSX are being installed with npm, this once.')
    await installer.install({ signal })
    await note?.(null)
    const again = yield* read(claim, path, signal)
    if (!again) throw new Error(`the parsers for PDF, DOCX and XLSX are not whole in ${installer.target}`)
    return again
  }

  /** Null when a parser is missing. */
  async function* read(
    claim: FileClaim,
    path: string,
    signal: AbortSignal,
  ): AsyncGenerator<FileBatch, ParsedFile | null> {
    signal.throwIfAborted()
    const timeout = AbortSignal.timeout(timeout_ms)
    const either = AbortSignal.any([signal, timeout])
    const { name, chunk_chars } = claim
    const job: ParseJob = { path, name, chunk_chars, parsers }
    const reader = takeReader()
    let whole = false
    try {
      let report = (await reader.begin(workerFile(), job, MAX_MEMORY_MB, either)) as ParseReport
      while (report.kind === 'batch') {
        yield { pieces: report.pieces, chunks: report.chunks }
        report = (await reader.tell('next', either)) as ParseReport
      }
      if (report.kind === 'error') throw new Error(report.message)
      whole = true
      if (report.kind === 'missing') return null
      const { type, lines, characters } = report
      return { type, lines, characters }
    } catch (error) {
      signal.throwIfAborted()
      if (timeout.aborted)
        throw new Error(`reading it takes longer than ${timeout_ms / 1000} s`, { cause: error })
      if (error instanceof ReaderError && error.reason === 'memory')
        throw new Error(`reading it takes more than ${MAX_MEMORY_MB} MB of memory`, { cause: error })
      throw error
    } finally {
      if (whole) await giveBack(reader)
      else reader.kill()
    }
  }

  return {
    parse,
    close() {
      closed = true
      endSpare()
    },
  }
}

/** Beside this file: its own source, or what the build made of it. */
function workerFile(): URL {
  const source = new URL('./parse-worker.ts', import.meta.url)
  return existsSync(source) ? source : new URL('../parse-worker.js', import.meta.url)
}

import type { FileBatch, FileClaim } from './file-store.ts'

/** What a file turned out to be. */
export interface ParsedFile {
  /** Media type. */
  type: string
  lines: number
  characters: number
}

/** Reads uploads, outside of this process's event loop and within limits of time and memory. */
export interface FileParser {
  /**
   * The text of an upload, part by part. Throws an error whose text tells a user what is wrong with the file; an abort
   * throws its reason. `note` is told what takes long before there is any text, and null when that is over.
   */
  parse(
    claim: FileClaim,
    options: { signal: AbortSignal; note?: (text: string | null) => Promise<unknown> },
  ): AsyncGenerator<FileBatch, ParsedFile>
  /** Forgets an upload. */
  discard(file_id: string): Promise<void>
  /** The uploads that lie there, whole or not; `quiet_ms` since something of them came. */
  uploads(): Promise<{ name: string; quiet_ms: number }[]>
  /** Ends what waits for further files. */
  close(): void
}

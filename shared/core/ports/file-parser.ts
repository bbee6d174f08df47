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
   * The text of an upload that is the file `path`, part by part. Throws an error whose text tells a user what is wrong with the file; an abort
   * throws its reason. `note` is told what takes long before there is any text, and null when that is over.
   */
  parse(
    claim: FileClaim,
    options: { path: string; signal: AbortSignal; note?: (text: string | null) => Promise<unknown> },
  ): AsyncGenerator<FileBatch, ParsedFile>
  /** Ends what waits for further files. */
  close(): void
}

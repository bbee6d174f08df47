/** An upload that comes in. */
export interface IncomingUpload {
  /** Resolves when more may come: some megabytes of an upload are in memory at the most. The bytes are the caller's again. */
  write(bytes: Uint8Array): Promise<void>
  /** Resolves when all of it is kept and outlives this process; whoever shares the store can fetch it from now on. */
  finish(): Promise<void>
  /** Removes what has come. Does not throw: what cannot be removed goes like what dead processes leave, by `lying`. */
  abort(): Promise<void>
}

/** An upload as a file of this machine. */
export interface LocalUpload {
  path: string
  /** The caller needs it no more. */
  close(): Promise<void>
}

/** What lies in an upload store. */
export interface LyingUpload {
  /** The id of its file; of something unfinished a name that `discard` knows. */
  name: string
  /** Milliseconds since something of it came, by a clock that all share. */
  quiet_ms: number
}

/**
 * Where uploads are kept until they were read, each under the id of its file. Throws `store_unavailable`, in words that say
 * where and why, when it cannot be used: the same call may succeed later.
 */
export interface UploadStore {
  /** Begins an upload; the caller finishes or aborts it. */
  begin(file_id: string): Promise<IncomingUpload>
  /** Null when there is no such upload, or not all of it. The caller closes it. An abort throws its reason. */
  fetch(file_id: string, options: { signal: AbortSignal }): Promise<LocalUpload | null>
  /** Forgets an upload; one that is not there is nothing. */
  discard(name: string): Promise<void>
  /** Everything that lies there, whole or not, some at a time. */
  lying(): AsyncIterable<readonly LyingUpload[]>
  /** Throws what keeps it from being used now. */
  check(options: { signal: AbortSignal }): Promise<void>
}

/** What a reader's process is told. */
export type ReaderOrder =
  /** Start this worker thread with this data. */
  | { kind: 'begin'; worker: string; data: unknown; memory_mb: number }
  | { kind: 'tell'; message: unknown }
  /** End the thread; the process waits for another. */
  | { kind: 'end' }

/** What a reader's process says. */
export type ReaderReport =
  | { kind: 'said'; message: unknown }
  | { kind: 'failed'; reason: 'memory' | 'error'; message: string }
  | { kind: 'idle' }

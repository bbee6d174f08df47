import { Worker } from 'node:worker_threads'

/** Commits after which the log is written back: about a thousand pages, as SQLite itself would. */
const COMMITS = 48
/** Pages of the log from which a commit waits for the rest to be written back, so that it can begin anew: 64 MB. */
const MOST_PAGES = 16_000

/** The thread: plain text, so that it is the same from source and bundled. It answers each message with one. */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads')
const { DatabaseSync } = require('node:sqlite')
const database = new DatabaseSync(workerData, { timeout: 0 })
database.exec('PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA synchronous = NORMAL')
const checkpoint = database.prepare('PRAGMA wal_checkpoint(PASSIVE)')
parentPort.on('message', (message) => {
  if (message === 'close') {
    database.close()
    parentPort.close()
  } else {
    const { busy, log, checkpointed } = checkpoint.get()
    parentPort.postMessage({ busy, log, checkpointed })
  }
})
`

interface Answer {
  /** Another process was at it. */
  busy: number
  /** Pages of the log, and how many of them are in the database. */
  log: number
  checkpointed: number
}

export interface CheckpointOptions {
  path: string
  /** Writes back what is left, in this thread; it must not throw. */
  here: () => void
  /** The thread is gone: commits are to write the log back by themselves again. */
  onLoss: () => void
  /** Commits after which the log is written back, and pages that it may have; defaults as above. */
  commits?: number
  most_pages?: number
}

/**
 * Writes the log back into the database in a thread of its own, so that no commit waits for the disk: SQLite does it in
 * the commit that makes it due, for up to ten milliseconds, and much longer on a disk that is busy (docs/decisions/0013).
 * The thread starts when it is first needed.
 */
export class Checkpoints {
  readonly #options: CheckpointOptions
  #commits = 0
  #worker: Worker | null = null
  #running = false
  #closed = false

  constructor(options: CheckpointOptions) {
    this.#options = options
  }

  /** A transaction of this process was committed. */
  committed(): void {
    if (++this.#commits < (this.#options.commits ?? COMMITS) || this.#running || this.#closed) return
    this.#commits = 0
    this.#running = true
    this.#worker ??= this.#start()
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage('checkpoint')
  }

  /** Resolves when the thread has let go of the database. */
  async close(): Promise<void> {
    this.#closed = true
    const worker = this.#worker
    if (!worker) return
    this.#worker = null
    const exited = new Promise((resolve) => worker.once('exit', resolve))
    worker.ref()
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage('close')
    await exited
  }

  #start(): Worker {
    const worker = new Worker(THREAD, {
      eval: true,
      workerData: this.#options.path,
      execArgv: ['--no-warnings'],
    })
    worker.unref()
    worker.on('message', (answer: Answer) => this.#answered(answer))
    worker.once('error', () => this.#lost(worker))
    return worker
  }

  #answered({ busy, log, checkpointed }: Answer): void {
    this.#running = false
    // The log begins anew only once all of it is written back, and somebody may always be ahead of the thread.
    const grows = log > (this.#options.most_pages ?? MOST_PAGES)
    if (!this.#closed && busy === 0 && checkpointed > 0 && grows) this.#options.here()
  }

  /** Nothing is lost with it: what is committed is in the log. */
  #lost(worker: Worker): void {
    if (this.#worker === worker) this.#worker = null
    if (this.#closed) return
    this.#closed = true
    this.#options.onLoss()
  }
}

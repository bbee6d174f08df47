/**
 * The process in which files and pages are read, in a thread: what V8 cannot bear ends this process, not the server. It
 * watches its memory meanwhile, and ends with the server whatever the thread is at.
 */
import { setPriority } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { ReaderOrder, ReaderReport } from './reader-jobs.ts'

const WATCH_EVERY_MS = 100
/** Behind the turns of the server. */
const PRIORITY = 10

let worker: Worker | null = null
let watch: NodeJS.Timeout | undefined

const say = (report: ReaderReport) => process.send?.(report)

try {
  setPriority(PRIORITY)
} catch {
  // Where that is not allowed it is read no slower.
}
process.once('disconnect', () => process.exit())
process.on('message', (order: ReaderOrder) => {
  switch (order.kind) {
    case 'begin':
      begin(order)
      break
    case 'tell':
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
      worker?.postMessage(order.message)
      break
    default:
      void end()
  }
})

function begin({ worker: file, data, memory_mb }: Extract<ReaderOrder, { kind: 'begin' }>): void {
  const thread = new Worker(new URL(file), {
    workerData: data,
    resourceLimits: { maxOldGenerationSizeMb: memory_mb },
    env: {},
    execArgv: [],
  })
  worker = thread
  thread.on('message', (message: unknown) => say({ kind: 'said', message }))
  thread.once('error', (error: Error & { code?: string }) =>
    say({
      kind: 'failed',
      reason: error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'memory' : 'error',
      message: error.message,
    }),
  )
  thread.once('exit', (code) => {
    if (worker === thread)
      say({ kind: 'failed', reason: 'error', message: `its reader ended with code ${code}` })
  })
  // The limit of the thread does not count what lies outside of its heap, as the content of a buffer does.
  watch = setInterval(() => {
    if (process.memoryUsage.rss() <= 2 * memory_mb * 1024 * 1024) return
    say({ kind: 'failed', reason: 'memory', message: '' })
    clearInterval(watch)
  }, WATCH_EVERY_MS)
}

async function end(): Promise<void> {
  clearInterval(watch)
  const thread = worker
  worker = null
  await thread?.terminate()
  say({ kind: 'idle' })
}

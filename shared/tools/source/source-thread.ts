import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { AppError } from '../../schema/errors.ts'
import type { SourceAnswer, SourceJob } from './source-jobs.ts'

/** A source that takes more is given up. */
const TIMEOUT_MS = 20_000
const MAX_MEMORY_MB = 512
/** A thread that has nothing to do for so long is ended. */
const IDLE_MS = 30_000

let worker: Worker | undefined
let idle: NodeJS.Timeout | undefined
let last: Promise<unknown> = Promise.resolve()

/**
 * Asks the thread that reads TypeScript, which is started with the first source and ended when it has had none for half
 * a minute; it never keeps the process alive. One source at a time. Throws `invalid_argument` for a source that takes too
 * long or too much memory.
 */
export function askThread(job: SourceJob): Promise<SourceAnswer> {
  const answer = last.then(() => ask(job))
  // Whoever comes next does not care how this one ended; who asked does.
  last = answer.catch(() => undefined)
  return answer
}

async function ask(job: SourceJob): Promise<SourceAnswer> {
  clearTimeout(idle)
  const thread = (worker ??= startWorker())
  thread.ref()
  const { promise, resolve, reject } = Promise.withResolvers<SourceAnswer>()
  const timer = setTimeout(
    () => reject(tooMuch(`takes longer than ${TIMEOUT_MS / 1000} s to read`)),
    TIMEOUT_MS,
  )
  const onError = (error: Error & { code?: string }) =>
    reject(
      error.code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? tooMuch(`takes more than ${MAX_MEMORY_MB} MB to read`)
        : new AppError('internal', `the source could not be read: ${error.message}`, { cause: error }),
    )
  const onExit = (code: number) =>
    reject(new AppError('internal', `the source could not be read (exit code ${code})`))
  thread.once('message', resolve)
  thread.once('error', onError)
  thread.once('exit', onExit)
  try {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
    thread.postMessage(job)
    const answer = await promise
    idle = setTimeout(endWorker, IDLE_MS).unref()
    return answer
  } catch (error) {
    endWorker()
    throw error
  } finally {
    clearTimeout(timer)
    thread.off('message', resolve)
    thread.off('error', onError)
    thread.off('exit', onExit)
    thread.unref()
  }
}

function startWorker(): Worker {
  return new Worker(workerFile(), {
    resourceLimits: { maxOldGenerationSizeMb: MAX_MEMORY_MB },
    // Nothing of this process's environment is the source's business.
    env: {},
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
}

function endWorker(): void {
  const ended = worker
  worker = undefined
  // What it still says is nobody's.
  ended?.on('error', () => undefined)
  void ended?.terminate()
}

function tooMuch(what: string): AppError {
  return new AppError('invalid_argument', `The source of the tool ${what}: make it shorter or simpler.`)
}

/** Beside this file: its own source, or what the build made of it. */
function workerFile(): URL {
  for (const place of ['./source-worker.ts', '../source-worker.js']) {
    const file = new URL(place, import.meta.url)
    if (existsSync(file)) return file
  }
  return new URL('./source-worker.js', import.meta.url)
}

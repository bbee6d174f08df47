import { type ChildProcess, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ReaderOrder, ReaderReport } from './reader-jobs.ts'

/** Why nothing was read: too much memory, or an error of the thread. */
export class ReaderError extends Error {
  override readonly name = 'ReaderError'
  readonly reason: 'memory' | 'error'

  constructor(reason: 'memory' | 'error', message: string) {
    super(message)
    this.reason = reason
  }
}

/** How V8 and the operating system end a process that wants too much memory. */
const OUT_OF_MEMORY_SIGNALS = new Set(['SIGABRT', 'SIGTRAP', 'SIGILL', 'SIGKILL'])
const OUT_OF_MEMORY_CODES = new Set([134, 0x80000003, 0xc0000409, 0xc0000017])

/** A process of ours that runs one worker thread at a time. It ends with this process. */
export class Reader {
  readonly #child: ChildProcess
  #waiting: { resolve: (report: ReaderReport) => void; reject: (error: Error) => void } | null = null
  #broken: Error | null = null
  /** What was said while nobody listened. */
  #said: ReaderReport[] = []

  constructor() {
    this.#child = fork(hostFile(), [], {
      execPath: process.execPath,
      execArgv: [],
      env: hostEnvironment(),
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced',
      windowsHide: true,
    })
    this.#child.on('message', (report: ReaderReport) => {
      const waiting = this.#waiting
      this.#waiting = null
      if (waiting) waiting.resolve(report)
      else this.#said.push(report)
    })
    this.#child.once('error', (error) => this.#break(error))
    this.#child.once('exit', (code, signal) => {
      const memory = OUT_OF_MEMORY_SIGNALS.has(signal ?? '') || OUT_OF_MEMORY_CODES.has(code ?? 0)
      const message = `its reader ended with ${signal ?? `code ${code}`}`
      this.#break(new ReaderError(memory ? 'memory' : 'error', message))
    })
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Starts a thread, with a heap of at most so much; answers its first message. */
  begin(worker: URL, data: unknown, memory_mb: number, signal: AbortSignal): Promise<unknown> {
    return this.#ask({ kind: 'begin', worker: worker.href, data, memory_mb }, signal)
  }

  /** Posts a message to the thread; answers the next one of it. */
  tell(message: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#ask({ kind: 'tell', message }, signal)
  }

  /** Ends the thread, so that the process can begin another. While it waits it keeps nobody alive. */
  async rest(signal: AbortSignal): Promise<void> {
    this.#said = []
    this.#send({ kind: 'end' })
    // The thread may have said something before.
    for (;;) if ((await this.#next(signal)).kind === 'idle') break
    this.#child.unref()
    this.#child.channel?.unref()
  }

  /** After a rest. */
  wake(): boolean {
    if (this.#broken) return false
    this.#child.ref()
    this.#child.channel?.ref()
    return true
  }

  /** Ends the process at once, whatever it is at. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async #ask(order: ReaderOrder, signal: AbortSignal): Promise<unknown> {
    this.#send(order)
    const report = await this.#next(signal)
    if (report.kind === 'said') return report.message
    if (report.kind === 'failed') throw new ReaderError(report.reason, report.message)
    throw new ReaderError('error', 'its reader has nothing to do')
  }

  #send(order: ReaderOrder): void {
    // What cannot be sent is told by the process's end.
    this.#child.send(order, () => undefined)
  }

  #next(signal: AbortSignal): Promise<ReaderReport> {
    signal.throwIfAborted()
    const said = this.#said.shift()
    if (said) return Promise.resolve(said)
    if (this.#broken) return Promise.reject(this.#broken)
    const { promise, resolve, reject } = Promise.withResolvers<ReaderReport>()
    this.#waiting = { resolve, reject }
    const abort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    return promise.finally(() => {
      this.#waiting = null
      signal.removeEventListener('abort', abort)
    })
  }

  #break(error: Error): void {
    this.#broken ??= error
    this.#waiting?.reject(this.#broken)
  }
}

/** Nothing of this process's environment is a file's business but what finds the program's own libraries. */
function hostEnvironment(): Record<string, string> {
  const { LD_LIBRARY_PATH, DYLD_LIBRARY_PATH } = process.env
  return {
    ...(LD_LIBRARY_PATH === undefined ? {} : { LD_LIBRARY_PATH }),
    ...(DYLD_LIBRARY_PATH === undefined ? {} : { DYLD_LIBRARY_PATH }),
    // Electron is Node only when it is told so.
    ...(process.versions['electron'] ? { ELECTRON_RUN_AS_NODE: '1' } : {}),
  }
}

/** Beside this file: its own source, or what the build made of it. */
function hostFile(): string {
  const source = new URL('./reader-host.ts', import.meta.url)
  return fileURLToPath(existsSync(source) ? source : new URL('../reader-host.js', import.meta.url))
}

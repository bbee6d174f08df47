import { randomUUID } from 'node:crypto'
import type { Duplex, Readable } from 'node:stream'
import { encodeFrame, readFrameBytes } from './frame-codec.ts'
import { MAX_FRAME, parseToolFrame, type ResultFrame, type ToolFrame } from './frames.ts'
import { type AnswerRequest, answerRequests } from './request-queue.ts'
import { collectOutput, MAX_OUTPUT } from './tool-output.ts'
import { FILES_PER_MB, type Wall, type WalledCommand } from './walled-command.ts'

/** How a call ended. Without a result: `failure` says why, for the model. */
export interface ProcessOutcome {
  result: ResultFrame | null
  failure: string
  stdout: string[]
  stderr: string[]
}

/** A process behind the wall that runs calls, one at a time. */
export interface WalledProcess {
  /** Resolves when it waits for a call; rejects with what it said when it cannot be started. */
  ready: Promise<void>
  /** Resolves when nothing of it is left. */
  gone: Promise<void>
  readonly alive: boolean
  /** The process outside the wall's namespaces: for measurements. */
  readonly pid: number | undefined
  /**
   * Runs one call. Rejects only when `signal` aborts; then nothing is left of the process. After any other end but a
   * result it is gone, too.
   */
  call(
    frame: Record<string, unknown>,
    options: { signal: AbortSignal; timeout_ms: number; answer: AnswerRequest },
  ): Promise<ProcessOutcome>
  /** Ends it, with all that it started. */
  end(): Promise<void>
}

/** A process that has been started to run calls; its descriptor 3 speaks frames. */
export interface StartedProcess {
  pipe: Duplex
  stdout: Readable
  stderr: Readable
  pid: number | undefined
  /** How many files it may have in its scratch folder, and has now; where the wall does not bound them itself. */
  files?: { max: number; count: () => Promise<number | null> }
  /** Ends it, with all that it started. */
  kill: () => void
  /** Resolves with why it ended. */
  exited: Promise<string>
  /** Resolves when nothing of it is left and all of its output was read. */
  closed: Promise<void>
}

/** What `unshare` says when the program that it waits for is ended. */
const UNSHARE_ENDED = 'unshare: sigprocmask unblock failed: Invalid argument'

/** How often files are counted while a call runs: in that time one makes some ten thousand. */
const COUNT_FILES_MS = 50

/** How long a result waits for the marks in the output, which came before it over other pipes. */
const OUTPUT_MS = 2000

/** Starts a process behind the wall, to run calls. Throws as `Wall.launch`. */
export function openProcess(wall: Wall, command: WalledCommand): WalledProcess {
  const child = wall.launch({ ...command, pipes: 1 })
  const exited = Promise.withResolvers<string>()
  const closed = Promise.withResolvers<void>()
  child.once('error', (error) => {
    exited.resolve(`it could not be started: ${error.message}`)
    closed.resolve()
  })
  child.once('exit', (code, signal) =>
    exited.resolve(`its process ended before it returned (${signal ?? `exit code ${code}`})`),
  )
  child.once('close', () => closed.resolve())
  child.stdin?.on('error', () => undefined).end()
  return runCalls({
    pipe: child.stdio[3] as Duplex,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    pid: child.pid,
    ...(wall.scratchFiles
      ? {
          files: {
            max: command.limits.scratch_mb * FILES_PER_MB,
            count: async () => wall.scratchFiles?.(child) ?? null,
          },
        }
      : {}),
    kill: () => wall.killAll(child),
    exited: exited.promise,
    closed: closed.promise,
  })
}

/** Runs calls in a process that somebody has started behind the wall. */
export function runCalls({
  pipe,
  kill,
  exited,
  closed,
  pid,
  files,
  ...output
}: StartedProcess): WalledProcess {
  let alive = true
  let isReady = false
  let failure: string | null = null
  let hear: ((frame: ToolFrame) => void) | null = null
  const ready = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  ready.promise.catch(() => undefined)

  const fail = (why: string) => {
    failure ??= why
    kill()
  }
  const flood = () => fail(`it wrote more than ${MAX_OUTPUT / 1024 / 1024} MB of output`)
  const stdout = collectOutput(output.stdout, flood)
  const stderr = collectOutput(output.stderr, flood)
  // A process that has ended does not read: its end is told by `exit`.
  pipe.on('error', () => undefined)
  readFrameBytes(
    pipe,
    MAX_FRAME,
    (bytes) => {
      const frame = parseToolFrame(bytes)
      if (frame?.type === 'ready') {
        isReady = true
        ready.resolve()
      } else if (frame) hear?.(frame)
      return frame !== null
    },
    (why) => fail(`its code sent ${why} to Loci`),
  )
  const untilGone = async () => {
    const why = await exited
    alive = false
    failure ??= why
    await closed
    ready.reject(new Error([failure, ...stderr.lines().slice(-20)].join('\n')))
    gone.resolve()
  }
  void untilGone()

  const end = async () => {
    alive = false
    kill()
    await gone.promise
  }

  return {
    ready: ready.promise,
    gone: gone.promise,
    get alive() {
      return alive
    },
    pid,
    end,
    async call(frame, { signal, timeout_ms, answer }) {
      signal.throwIfAborted()
      const token = randomUUID()
      const requests = new AbortController()
      const result = Promise.withResolvers<ResultFrame>()
      const answers = answerRequests(pipe, answer, { signal: requests.signal, onFlood: fail })
      stdout.begin(token)
      stderr.begin(token)
      hear = (heard) => {
        if (heard.type === 'ready' || heard.token !== token) return
        if (heard.type === 'request') answers(heard)
        else result.resolve(heard)
      }
      const timer = setTimeout(
        () => fail(`it took longer than ${timeout_ms / 1000} s, the limit of its time`),
        timeout_ms,
      )
      const countFiles = async () => {
        // Before that there may be no wall around it, and other files.
        if (!isReady) return
        const count = (await files?.count()) ?? 0
        if (files && count > files.max)
          fail(`it had more than ${files.max} files in its scratch folder, the limit`)
      }
      const counting = files && setInterval(() => void countFiles(), COUNT_FILES_MS)
      const abort = () => fail('it was cancelled')
      signal.addEventListener('abort', abort, { once: true })
      try {
        pipe.write(encodeFrame({ ...frame, type: 'call', token }))
        const ended = await Promise.race([result.promise, gone.promise])
        requests.abort()
        if (signal.aborted) throw signal.reason
        if (ended) await waitForOutput(Promise.all([stdout.ended, stderr.ended]))
        return {
          result: ended ?? null,
          failure: failure ?? '',
          stdout: stdout.lines(),
          stderr: stderr.lines().filter((line) => ended !== undefined || line !== UNSHARE_ENDED),
        }
      } catch (error) {
        await end()
        throw error
      } finally {
        hear = null
        clearTimeout(timer)
        clearInterval(counting)
        requests.abort()
        signal.removeEventListener('abort', abort)
      }
    },
  }
}

async function waitForOutput(ended: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, OUTPUT_MS)
  await Promise.race([ended, promise])
  clearTimeout(timer)
}

import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { encodeFrame, readFrameBytes } from './frame-codec.ts'
import {
  MAX_FRAME,
  parseToolFrame,
  type RequestFrame,
  type ResultFrame,
  type ServerFrame,
  type ToolFrame,
} from './frames.ts'
import { collectOutput, MAX_OUTPUT } from './tool-output.ts'
import type { Wall, WalledCommand } from './walled-command.ts'

/** How a call ended. Without a result: `failure` says why, for the model. */
export interface ProcessOutcome {
  result: ResultFrame | null
  failure: string
  stdout: string[]
  stderr: string[]
}

/** Answers the requests of a tool's `client`. `signal` aborts with the call. */
export type AnswerRequest = (
  request: RequestFrame,
  options: { signal: AbortSignal },
) => Promise<Omit<Extract<ServerFrame, { type: 'answer' }>, 'type' | 'id'>>

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

/** Requests of one call that may be under way at once; more wait. */
const MAX_REQUESTS = 16

/** How long a result waits for the marks in the output, which came before it over other pipes. */
const OUTPUT_MS = 2000

/** Starts a process; its descriptor 3 speaks frames. Throws as `Wall.launch`. */
export function openProcess(wall: Wall, command: WalledCommand): WalledProcess {
  const child = wall.launch({ ...command, pipes: 1 })
  const pipe = child.stdio[3] as Duplex
  let alive = true
  let failure: string | null = null
  let hear: ((frame: ToolFrame) => void) | null = null
  const ready = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  ready.promise.catch(() => undefined)

  const fail = (why: string) => {
    failure ??= why
    wall.killAll(child)
  }
  const flood = () => fail(`it wrote more than ${MAX_OUTPUT / 1024 / 1024} MB of output`)
  const stdout = collectOutput(child.stdout as Duplex, flood)
  const stderr = collectOutput(child.stderr as Duplex, flood)
  child.stdin?.on('error', () => undefined).end()
  // A process that has ended does not read: its end is told by `exit`.
  pipe.on('error', () => undefined)
  readFrameBytes(
    pipe,
    MAX_FRAME,
    (bytes) => {
      const frame = parseToolFrame(bytes)
      if (frame?.type === 'ready') ready.resolve()
      else if (frame) hear?.(frame)
      return frame !== null
    },
    (why) => fail(`its code sent ${why} to Loci`),
  )
  const onGone = (why: string) => {
    alive = false
    failure ??= why
    ready.reject(new Error([failure, ...stderr.lines().slice(-20)].join('\n')))
    gone.resolve()
  }
  child.once('error', (error) => onGone(`it could not be started: ${error.message}`))
  child.once('exit', (code, signal) => {
    alive = false
    failure ??= `its process ended before it returned (${signal ?? `exit code ${code}`})`
  })
  child.once('close', () => onGone('it could not be started'))

  const end = async () => {
    alive = false
    wall.killAll(child)
    await gone.promise
  }

  return {
    ready: ready.promise,
    gone: gone.promise,
    get alive() {
      return alive
    },
    get pid() {
      return child.pid
    },
    end,
    async call(frame, { signal, timeout_ms, answer }) {
      signal.throwIfAborted()
      const token = randomUUID()
      const requests = new AbortController()
      const result = Promise.withResolvers<ResultFrame>()
      const answers = answerer(pipe, token, answer, requests.signal)
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
          stderr: stderr.lines(),
        }
      } catch (error) {
        await end()
        throw error
      } finally {
        hear = null
        clearTimeout(timer)
        requests.abort()
        signal.removeEventListener('abort', abort)
      }
    },
  }
}

/** Answers requests in the order in which they come in, `MAX_REQUESTS` at once. */
function answerer(pipe: Duplex, token: string, answer: AnswerRequest, signal: AbortSignal) {
  const waiting: RequestFrame[] = []
  let running = 0
  const next = () => {
    if (running >= MAX_REQUESTS || signal.aborted) return
    const request = waiting.shift()
    if (!request) return
    running++
    void answerOne(request).finally(() => {
      running--
      next()
    })
  }
  const answerOne = async (request: RequestFrame) => {
    let answered
    try {
      answered = await answer(request, { signal })
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      const body = Buffer.from(JSON.stringify({ detail })).toString('base64')
      answered = { status: 500, headers: [['content-type', 'application/json']] as [string, string][], body }
    }
    // After the call nobody waits for it.
    if (!signal.aborted) pipe.write(encodeFrame({ type: 'answer', id: request.id, ...answered }))
  }
  return (request: RequestFrame) => {
    waiting.push(request)
    next()
  }
}

async function waitForOutput(ended: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, OUTPUT_MS)
  await Promise.race([ended, promise])
  clearTimeout(timer)
}

import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { encodeFrame } from './frame-codec.ts'
import type { RequestFrame, ServerFrame } from './frames.ts'

/** Answers the requests of a tool's `client`. `signal` aborts with the call. */
export type AnswerRequest = (
  request: RequestFrame,
  options: { signal: AbortSignal },
) => Promise<Omit<Extract<ServerFrame, { type: 'answer' }>, 'type' | 'id'>>

/** Requests of one call that may be under way at once; more wait, up to a bound. */
const MAX_RUNNING = 16
const MAX_WAITING = 1000
const MAX_WAITING_CHARS = 64 * 1024 * 1024

/**
 * Answers the requests of one call over its pipe, in the order in which they come in and no faster than the process reads.
 * `onFlood` is called when more wait than may.
 */
export function answerRequests(
  pipe: Duplex,
  answer: AnswerRequest,
  { signal, onFlood }: { signal: AbortSignal; onFlood: (why: string) => void },
): (request: RequestFrame) => void {
  const waiting: RequestFrame[] = []
  let chars = 0
  let running = 0
  const next = () => {
    if (running >= MAX_RUNNING || signal.aborted) return
    const request = waiting.shift()
    if (!request) return
    chars -= request.body?.length ?? 0
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
    if (signal.aborted || pipe.write(encodeFrame({ type: 'answer', id: request.id, ...answered }))) return
    try {
      await once(pipe, 'drain', { signal })
    } catch {
      // The call or the process has ended.
    }
  }
  return (request) => {
    waiting.push(request)
    chars += request.body?.length ?? 0
    if (waiting.length > MAX_WAITING || chars > MAX_WAITING_CHARS)
      onFlood(`its client asked for more than ${MAX_WAITING} things at once`)
    else next()
  }
}

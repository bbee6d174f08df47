import { AppError, isAppError } from '../schema/errors.ts'
import type { ServerContext } from './context.ts'

/** How long a message waits for its conversation to be free, in milliseconds. */
const WAIT_MS = 120_000
/** How often a turn of another process is looked for, in milliseconds. */
const POLL_MS = 200

/**
 * Messages that wait for their conversation, which has one turn at a time: whoever speaks to an agent by its name alone
 * does not know who else does. They begin in the order in which they came.
 */
export class TurnQueue {
  /** By conversation: settles when all that came so far have begun or given up. */
  readonly #last = new Map<string, Promise<void>>()
  #waiting = 0

  /** Messages that have not begun. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Does `begin` when it is its turn, again for as long as the conversation is busy with a turn of somebody else. Throws
   * what it throws: `conversation_busy` when two minutes were not enough. A request whose client has left begins nothing.
   */
  async run<T>(
    { context, request }: { context: Pick<ServerContext, 'runs' | 'deps'>; request: Request },
    conversation_id: string,
    begin: () => Promise<T>,
  ): Promise<T> {
    const { clock } = context.deps
    const until = clock.monotonic() + WAIT_MS
    const before = this.#last.get(conversation_id)
    const { promise, resolve } = Promise.withResolvers<void>()
    const mine = Promise.all([before, promise]).then(() => undefined)
    this.#last.set(conversation_id, mine)
    this.#waiting++
    try {
      if (before) await within(before, WAIT_MS, request.signal)
      for (;;) {
        if (request.signal.aborted)
          throw new AppError('cancelled', 'the client left while its message waited; it was not sent')
        try {
          return await begin()
        } catch (error) {
          const left = until - clock.monotonic()
          if (!isAppError(error, 'conversation_busy') || left <= 0) throw error
          const here = context.runs.get(String(error.data['run_id']))
          await within(here?.done, here ? left : Math.min(left, POLL_MS), request.signal)
        }
      }
    } finally {
      this.#waiting--
      resolve()
      if (this.#last.get(conversation_id) === mine) this.#last.delete(conversation_id)
    }
  }
}

/** Resolves when `work` has ended, after `ms`, or when `signal` aborts. */
async function within(work: Promise<unknown> | undefined, ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const { promise, resolve } = Promise.withResolvers<void>()
  const leave = () => resolve()
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) resolve()
  timer = setTimeout(leave, ms)
  try {
    await Promise.race([promise, ...(work ? [work] : [])])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  }
}

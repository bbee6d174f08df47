import { createHash } from 'node:crypto'
import { AppError } from '../schema/errors.ts'
import type { ServerContext } from './context.ts'

/** What the official clients send with every request: how often it was sent before. */
const RETRIES = 'x-stainless-retry-count'
/** How long work goes on that no official client waits for any more, in milliseconds: one that ran out of time asks again. */
const LINGER_MS = 15_000
/** How long a result can be asked for again, in milliseconds. */
const KEEP_MS = 60_000
/** Results that are kept. */
const MAX_KEPT = 100

interface Entry {
  result: Promise<unknown>
  /** Requests that wait for it. */
  readers: number
  abort: AbortController
  timer: ReturnType<typeof setTimeout> | undefined
}

/**
 * Work that must not be done twice because its client lost patience: the official clients send a request again after
 * 60 seconds (DESIGN decision 8), which joins the first one, or gets its result. Work that nobody joins is ended; that of other clients
 * when they hang up.
 */
export class RepeatedCalls {
  /** In the order of their beginnings. */
  readonly #entries = new Map<string, Entry>()

  /** `what` and `body` say which requests are the same. The signal of `work` aborts when nobody waits any more. */
  async run<T>(
    { request, context }: { request: Request; context: Pick<ServerContext, 'tasks' | 'closing'> },
    what: readonly unknown[],
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const key = createHash('sha256').update(JSON.stringify(what)).digest('base64')
    const again = Number(request.headers.get(RETRIES) ?? 0) > 0
    const entry = (again ? this.#entries.get(key) : undefined) ?? this.#begin(key, context, work)
    entry.readers++
    clearTimeout(entry.timer)
    const leave = () => {
      if (--entry.readers > 0) return
      const end = () => entry.abort.abort(new AppError('cancelled', 'the client has left'))
      // Others do not come back.
      if (!request.headers.has(RETRIES)) return end()
      entry.timer = setTimeout(end, LINGER_MS)
      entry.timer.unref()
    }
    request.signal.addEventListener('abort', leave, { once: true })
    try {
      return (await entry.result) as T
    } finally {
      request.signal.removeEventListener('abort', leave)
      clearTimeout(entry.timer)
    }
  }

  #begin<T>(
    key: string,
    { tasks, closing }: Pick<ServerContext, 'tasks' | 'closing'>,
    work: (signal: AbortSignal) => Promise<T>,
  ): Entry {
    const abort = new AbortController()
    const result = work(AbortSignal.any([abort.signal, closing]))
    const entry: Entry = { result, readers: 0, abort, timer: undefined }
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > MAX_KEPT && oldest !== undefined) this.#entries.delete(oldest)
    const task: Promise<void> = this.#forgetAfter(key, entry).finally(() => tasks.delete(task))
    tasks.add(task)
    return entry
  }

  /** Resolves when the work has ended; its result is forgotten some time later. */
  async #forgetAfter(key: string, entry: Entry): Promise<void> {
    // Whoever waits for it hears how it ended.
    await Promise.allSettled([entry.result])
    setTimeout(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
    }, KEEP_MS).unref()
  }
}

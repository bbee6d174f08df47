import type { McpCallback } from '../../core/ports/mcp-servers.ts'
import { AppError } from '../../schema/errors.ts'
import { abortable } from './connection.ts'

/** How long a user may take to log in. */
const LOGIN_MS = 10 * 60_000

/** A flow that waits for the user's browser. */
export interface Login {
  /** Waits for the browser, does the rest, and lets the browser know what became of it. */
  finish(work: (query: URLSearchParams) => Promise<void>): Promise<void>
  /** Gives up a flow that was not finished. */
  end(): void
}

/** The flows that wait for a browser to come back, by the `state` that it brings. */
export class Logins {
  readonly #waiting = new Map<string, (query: URLSearchParams) => Promise<void>>()

  begin(state: string, signal: AbortSignal): Login {
    const came = Promise.withResolvers<URLSearchParams>()
    const done = Promise.withResolvers<void>()
    // Nobody may be there to hear of it.
    done.promise.catch(() => undefined)
    this.#waiting.set(state, (query) => {
      came.resolve(query)
      return done.promise
    })
    return {
      async finish(work) {
        const late = AbortSignal.timeout(LOGIN_MS)
        let query: URLSearchParams
        try {
          query = await abortable(came.promise, AbortSignal.any([signal, late]))
        } catch (error) {
          if (!late.aborted) throw error
          throw new AppError('mcp_timeout', 'Nobody has logged in in time.')
        }
        try {
          await work(query)
          done.resolve()
        } catch (error) {
          done.reject(error)
          throw error
        }
      },
      end: () => {
        this.#waiting.delete(state)
        done.reject(new AppError('mcp_error', 'The log-in was given up.'))
      },
    }
  }

  /** Hands an answer to the flow that waits for it, once. Throws `invalid_argument` when none does, and what it throws. */
  async deliver({ state, query }: McpCallback): Promise<void> {
    const take = this.#waiting.get(state)
    if (!take)
      throw new AppError(
        'invalid_argument',
        'No log-in waits for this answer: it came too late, or twice. Begin anew with GET /v1/mcp-servers/connect/{id}.',
      )
    this.#waiting.delete(state)
    await take(query)
  }
}

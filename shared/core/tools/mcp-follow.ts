import type { Actor } from '../ports/actor.ts'

/** How often a server's tools are asked for again because it says that they have changed, at most. */
const EVERY_MS = 5000

/**
 * Brings tools up to date when their servers say that they have changed. A server that says so all the time is asked
 * now and then. `follow` may reject: `onFailure` hears of it.
 */
export class McpFollower {
  readonly #follow: (actor: Actor, server_id: string) => Promise<void>
  readonly #onFailure: (error: unknown) => void
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #last = new Map<string, number>()
  readonly #running = new Set<Promise<void>>()
  #closed = false

  constructor(
    follow: (actor: Actor, server_id: string) => Promise<void>,
    onFailure: (error: unknown) => void,
  ) {
    this.#follow = follow
    this.#onFailure = onFailure
  }

  changed(actor: Actor, server_id: string): void {
    if (this.#closed || this.#timers.has(server_id)) return
    const wait = Math.max(0, (this.#last.get(server_id) ?? 0) + EVERY_MS - Date.now())
    const timer = setTimeout(() => {
      this.#timers.delete(server_id)
      this.#last.set(server_id, Date.now())
      const task: Promise<void> = this.#follow(actor, server_id)
        .catch((error: unknown) => {
          if (!this.#closed) this.#onFailure(error)
        })
        .finally(() => this.#running.delete(task))
      this.#running.add(task)
    }, wait)
    timer.unref()
    this.#timers.set(server_id, timer)
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    await Promise.allSettled(this.#running)
  }
}

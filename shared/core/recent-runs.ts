import type { ActiveRun } from './runs/active-run.ts'
import type { Clock } from './ports/actor.ts'

/** How long a run whose answer reached nobody can be asked for again, in milliseconds. */
const KEEP_MS = 10 * 60_000
/** The same for an answer that was sent: it may have met a client that had just given up. */
const KEEP_DELIVERED_MS = 10_000
/** Bounds of what is kept, by runs and by what happened in them. */
const MAX_RUNS = 100
const MAX_EVENTS = 20_000

interface Entry {
  run: ActiveRun
  /** Null while it runs. */
  ended: { events: number; expires: number } | null
  delivered: boolean
}

/**
 * Runs by the request that began them, so that a client that asks the same again, because it ran out of time, gets
 * the answer that is on its way or has come meanwhile (DESIGN decision 8).
 */
export class RecentRuns {
  readonly #clock: Clock
  /** In the order of their requests. */
  readonly #entries = new Map<string, Entry>()
  #events = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Keeps a run from its start on; what the same request began before is forgotten. */
  add(fingerprint: string, run: ActiveRun): void {
    this.#forget(fingerprint)
    const entry: Entry = { run, ended: null, delivered: false }
    this.#entries.set(fingerprint, entry)
    void this.#keepAfter(fingerprint, entry)
  }

  /** The run that this request began, when it is still known. */
  find(fingerprint: string): ActiveRun | null {
    this.#sweep()
    return this.#entries.get(fingerprint)?.run ?? null
  }

  /** The answer was sent to the end: nobody is likely to ask for it again. */
  delivered(fingerprint: string): void {
    const entry = this.#entries.get(fingerprint)
    if (!entry) return
    entry.delivered = true
    if (entry.ended) entry.ended.expires = this.#expiry(entry)
  }

  async #keepAfter(fingerprint: string, entry: Entry): Promise<void> {
    await entry.run.done
    if (this.#entries.get(fingerprint) !== entry) return
    const events = entry.run.events()
    entry.ended = { events, expires: this.#expiry(entry) }
    this.#events += events
    this.#sweep()
  }

  #expiry(entry: Entry): number {
    return this.#clock.monotonic() + (entry.delivered ? KEEP_DELIVERED_MS : KEEP_MS)
  }

  #sweep(): void {
    const now = this.#clock.monotonic()
    for (const [fingerprint, { ended }] of this.#entries) {
      if (!ended) continue
      const full = this.#entries.size > MAX_RUNS || this.#events > MAX_EVENTS
      if (full || ended.expires <= now) this.#forget(fingerprint)
    }
  }

  #forget(fingerprint: string): void {
    const entry = this.#entries.get(fingerprint)
    if (!entry) return
    this.#events -= entry.ended?.events ?? 0
    this.#entries.delete(fingerprint)
  }
}

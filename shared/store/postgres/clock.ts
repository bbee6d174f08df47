/** How far the clock of this machine may be from the database's before it is put right, in milliseconds. */
const TOLERANCE_MS = 2_000
/** An answer that took longer says too little of when it was given, in milliseconds. */
const PROMPT_MS = 1_000

/**
 * The time by the clock that all instances have in common, which is the database's: leases, schedules and the ends of keys
 * are right also where the clock of a machine is hours off. A clock that is about right is taken as it is.
 */
export class DatabaseClock {
  #offset_ms = 0

  now(): Date {
    return new Date(Date.now() + this.#offset_ms)
  }

  /** The database said that it is `theirs`, in milliseconds since 1970, to a question of `elapsed_ms` ago. */
  heard(theirs: number, elapsed_ms: number): void {
    if (elapsed_ms > PROMPT_MS) return
    const offset = theirs - (Date.now() - elapsed_ms / 2)
    this.#offset_ms = Math.abs(offset) > TOLERANCE_MS ? offset : 0
  }
}

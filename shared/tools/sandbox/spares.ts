import type { WalledProcess } from './walled-process.ts'

export interface SpareOptions {
  /** Processes that wait for a call, of all kinds together; each costs memory. */
  max: number
  /** Milliseconds after the last call of a kind until its spares end. */
  idle_ms: number
}

interface Kind {
  open: () => WalledProcess
  spares: WalledProcess[]
  timer: NodeJS.Timeout | undefined
  /** Spares to have; grows with calls that found none. */
  wanted: number
  /** One is being started: two at once would take the processor from the calls. */
  starting: boolean
}

/** Processes that are started before they are needed, each for one call. */
export interface Spares {
  /**
   * A spare of this kind, which the caller ends; null when there is none. From the first call of a kind on spares of it
   * are made, with `open`.
   */
  find(key: string, open: () => WalledProcess): WalledProcess | null
  /** As `find`; without a spare, a new process. Throws as `open`. */
  take(key: string, open: () => WalledProcess): WalledProcess
  /** Starts new spares of a kind; called when a call has ended, so that they cost no call its time. */
  refill(key: string): void
  /** Processes that wait. */
  readonly size: number
  close(): Promise<void>
}

/** Keeps spares up to `max`; those of a kind end when it had no call for `idle_ms`. */
export function createSpares({ max, idle_ms }: SpareOptions): Spares {
  const kinds = new Map<string, Kind>()
  const all = () => [...kinds.values()].flatMap(({ spares }) => spares)
  let closed = false

  /** Whether a spare came up. One that cannot be started tells the call that takes it. */
  const followed = async (kind: Kind, spare: WalledProcess): Promise<boolean> => {
    try {
      await spare.ready
      return true
    } catch {
      return false
    } finally {
      kind.starting = false
    }
  }
  const endKind = async (key: string) => {
    const kind = kinds.get(key)
    kinds.delete(key)
    clearTimeout(kind?.timer)
    await Promise.all(kind?.spares.map((spare) => spare.end()) ?? [])
  }
  return {
    take(key, open) {
      return this.find(key, open) ?? open()
    },
    find(key, open) {
      const kind: Kind = kinds.get(key) ?? { open, spares: [], timer: undefined, wanted: 1, starting: false }
      // The one that was used last is the last: it is the first that stays.
      kinds.delete(key)
      kinds.set(key, kind)
      clearTimeout(kind.timer)
      kind.timer = setTimeout(() => void endKind(key), idle_ms).unref()
      const alive = kind.spares.filter((spare) => spare.alive)
      const spare = alive.shift() ?? null
      kind.spares = alive
      if (!spare) kind.wanted = Math.min(kind.wanted + 1, max)
      return spare
    },
    refill(key) {
      const kind = kinds.get(key)
      if (!kind || closed || kind.starting) return
      kind.spares = kind.spares.filter((spare) => spare.alive)
      if (kind.spares.length >= kind.wanted) return
      if (all().length >= max) {
        const oldest = [...kinds].find(([other, { spares }]) => other !== key && spares.length > 0)
        if (!oldest) return
        void endKind(oldest[0])
      }
      let spare
      try {
        spare = kind.open()
      } catch {
        // The next call hears why.
        void endKind(key)
        return
      }
      kind.spares.push(spare)
      kind.starting = true
      void followed(kind, spare).then((ready) => ready && this.refill(key))
    },
    get size() {
      return all().length
    },
    async close() {
      closed = true
      await Promise.all([...kinds.keys()].map((key) => endKind(key)))
    },
  }
}

import type { ProcessOutcome, WalledProcess } from './walled-process.ts'

/** Processes that stay for the next call; the one that was used longest ago makes room. */
const MAX_KEPT = 16
/** A process that had no call for so long ends, and with it what it remembers. */
const IDLE_MS = 10 * 60_000

/** Processes that serve one call after the other, for tools that keep state. */
export interface KeptProcesses {
  /** Runs calls of one key one after the other in the same process; a new one when a call has ended it. */
  use(
    key: string,
    open: () => WalledProcess,
    call: (process: WalledProcess) => Promise<ProcessOutcome>,
  ): Promise<ProcessOutcome>
  close(): Promise<void>
}

interface Kept {
  process: WalledProcess
  last: Promise<unknown>
  calls: number
  timer: NodeJS.Timeout | undefined
}

export function createKept(): KeptProcesses {
  const all = new Map<string, Kept>()
  const drop = async (key: string, kept: Kept) => {
    if (all.get(key) === kept) all.delete(key)
    clearTimeout(kept.timer)
    await kept.process.end()
  }
  return {
    async use(key, open, call) {
      let kept = all.get(key)
      if (!kept?.process.alive)
        kept = { process: open(), last: Promise.resolve(), calls: 0, timer: undefined }
      all.delete(key)
      all.set(key, kept)
      for (const [oldest, idle] of all) {
        if (all.size <= MAX_KEPT) break
        if (idle.calls === 0) void drop(oldest, idle)
      }
      clearTimeout(kept.timer)
      kept.calls++
      const { process } = kept
      const outcome = kept.last.then(() => call(process))
      kept.last = outcome.catch(() => undefined)
      try {
        return await outcome
      } finally {
        kept.calls--
        const used = kept
        if (!process.alive) await drop(key, used)
        else if (used.calls === 0) used.timer = setTimeout(() => void drop(key, used), IDLE_MS).unref()
      }
    },
    async close() {
      await Promise.all([...all].map(([key, kept]) => drop(key, kept)))
    },
  }
}

import { pause } from '../pause.ts'
import type { Database, Transaction } from './database.ts'

/** What one transaction of a long piece of work may take, in milliseconds: others, and the event loop, wait meanwhile. */
const SLICE_MS = 4

/**
 * Does a long piece of work in many short transactions, so that nobody waits for a big one, and leaves the writer to
 * others as long as it had it. `work` gets how much it may do, in rows or pages: from `first` on it follows what was
 * measured, up to `most`. It answers whether there may be more. `between` is awaited after each slice.
 */
export async function inSlices(
  database: Database,
  { first, most, between }: { first: number; most: number; between?: () => Promise<void> },
  work: (tx: Transaction, size: number) => Promise<boolean>,
): Promise<void> {
  let size = first
  for (let more = true; more;) {
    let took = 0
    more = await database.write(async (tx) => {
      const began = performance.now()
      try {
        return await work(tx, size)
      } finally {
        took = performance.now() - began
      }
    })
    if (took > SLICE_MS) size = Math.max(1, Math.floor((size * SLICE_MS) / (2 * took)))
    else if (took < SLICE_MS / 2) size = Math.min(most, size * 2)
    await between?.()
    await pause(Math.round(took))
  }
}

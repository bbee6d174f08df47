import { existsSync } from 'node:fs'
import { open, rm, stat, utimes } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'

const BEAT_MS = 2000
/** Without a beat for so long its holder is gone. */
const STALE_MS = 15_000
const LOOK_EVERY_MS = 200

/**
 * Waits until nobody holds a lock file, in whichever process, and takes it. Rejects when `signal` aborts. A holder that
 * died is found by the time of its file: two that find that at once may both go on, so what is done under the lock must
 * stay whole when it is done twice.
 */
export async function lockFile(path: string, signal: AbortSignal): Promise<() => Promise<void>> {
  for (;;) {
    signal.throwIfAborted()
    const taken = await take(path)
    if (taken) break
    if (existsSync(path) && !(await isLocked(path))) await rm(path, { force: true })
    else await wait(LOOK_EVERY_MS, undefined, { signal })
  }
  const beat = setInterval(() => {
    const now = new Date()
    // Somebody took it for stale; the work goes on.
    utimes(path, now, now).catch(() => undefined)
  }, BEAT_MS).unref()
  return async () => {
    clearInterval(beat)
    await rm(path, { force: true })
  }
}

/** Whether somebody who lives holds a lock file. */
export async function isLocked(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  return found !== null && Date.now() - found.mtimeMs <= STALE_MS
}

async function take(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

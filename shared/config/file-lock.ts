import { randomUUID } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { hostname } from 'node:os'
import { AppError } from '../schema/errors.ts'

/** Nobody holds the lock for so long; its owner hangs, or its process id was given to another. */
const STALE_MS = 30_000

/** A lock that is held. */
export interface FileLock {
  /** Throws `conflict` when somebody took the lock for abandoned; call it right before the change becomes visible. */
  confirm(): Promise<void>
  release(): Promise<void>
}

/**
 * Takes the lock that the existence of this file is, waiting for other holders. The lock of a process that is gone is
 * taken over at once. Throws `store_unavailable` when it cannot be had within `wait_ms`.
 */
export async function lockFile(path: string, wait_ms = 15_000): Promise<FileLock> {
  const own = JSON.stringify({ pid: process.pid, host: hostname(), token: randomUUID() })
  const deadline = performance.now() + wait_ms
  while (!(await create(path, own))) {
    await removeStale(path)
    if (performance.now() > deadline) {
      throw new AppError(
        'store_unavailable',
        `${path} has been held by another process for ${wait_ms / 1000} s. If no Loci is running, delete that file.`,
        { data: { path } },
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 2 + Math.random() * 10))
  }
  const isOwn = async () => (await readOrNull(path)) === own
  return {
    async confirm() {
      if (await isOwn()) return
      throw new AppError('conflict', `The lock ${path} was taken over by another process. Try again.`)
    },
    async release() {
      if (await isOwn()) await fs.rm(path, { force: true })
    },
  }
}

async function create(path: string, content: string): Promise<boolean> {
  try {
    await fs.writeFile(path, content, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST') return false
    // A full disk leaves an empty file behind.
    if (code === 'ENOSPC' || code === 'EDQUOT') await fs.rm(path, { force: true })
    throw error
  }
}

async function removeStale(path: string): Promise<void> {
  const content = await readOrNull(path)
  if (content === null || !(await isStale(path, content))) return
  const aside = `${path}.${randomUUID()}`
  try {
    await fs.rename(path, aside)
    // Somebody may have been faster, then this is a living lock: it goes back.
    if ((await readOrNull(aside)) !== content) await fs.link(aside, path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  } finally {
    await fs.rm(aside, { force: true })
  }
}

async function isStale(path: string, content: string): Promise<boolean> {
  try {
    const { mtimeMs } = await fs.stat(path)
    if (Date.now() - mtimeMs > STALE_MS) return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  let owner: { pid?: unknown; host?: unknown }
  try {
    owner = JSON.parse(content) as typeof owner
  } catch {
    // It is being written just now.
    return false
  }
  if (owner.host !== hostname() || typeof owner.pid !== 'number') return false
  try {
    process.kill(owner.pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await fs.readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

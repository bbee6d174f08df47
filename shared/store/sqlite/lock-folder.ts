import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Connection, InstanceLocks } from '../sql/database.ts'
import { isBusy } from './errors.ts'
import { makePrivate } from './private-file.ts'

/** A lock file without a row may belong to a process that is just starting. */
const ORPHAN_AGE_MS = 60_000

/** Locks of instances as exclusive locks on the files `instances/<id>.db` of a data directory. */
export class LockFolder implements InstanceLocks {
  readonly beats = false
  readonly #directory: string
  #own: DatabaseSync | null = null

  constructor(directory: string) {
    this.#directory = join(directory, 'instances')
  }

  newId(): string {
    return crypto.randomUUID()
  }

  async take(id: string): Promise<void> {
    if (this.#own) return
    makePrivate(this.#file(id))
    const lock = new DatabaseSync(this.#file(id), { timeout: 2_000 })
    try {
      lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    } catch (error) {
      lock.close()
      throw error
    }
    this.#own = lock
  }

  async look(_: Connection, id: string): Promise<'free' | 'held'> {
    return this.#isLocked(id) ? 'held' : 'free'
  }

  check(): void {
    // The operating system holds a lock.
  }

  remove(id: string): void {
    for (const suffix of ['', '-journal']) rmSync(this.#file(id) + suffix, { force: true })
  }

  async removeOrphans(known: ReadonlySet<string>): Promise<void> {
    for (const name of readdirSync(this.#directory)) {
      const id = name.endsWith('.db') ? name.slice(0, -'.db'.length) : null
      if (id === null || known.has(id)) continue
      const stat = statSync(this.#file(id), { throwIfNoEntry: false })
      if (stat && Date.now() - stat.mtimeMs > ORPHAN_AGE_MS && !this.#isLocked(id)) this.remove(id)
    }
  }

  async release(id: string): Promise<void> {
    if (!this.#own) return
    this.#own.close()
    this.#own = null
    this.remove(id)
  }

  #file(id: string): string {
    return join(this.#directory, `${id}.db`)
  }

  #isLocked(id: string): boolean {
    const file = this.#file(id)
    if (!existsSync(file)) return false
    let probe: DatabaseSync | undefined
    try {
      probe = new DatabaseSync(file, { timeout: 0, readOnly: true })
      probe.prepare('SELECT count(*) FROM sqlite_schema').get()
      return false
    } catch (error) {
      if (isBusy(error)) return true
      // Removed by another process between the two looks: its owner is gone.
      if (!existsSync(file)) return false
      throw error
    } finally {
      probe?.close()
    }
  }
}

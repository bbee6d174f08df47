import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '../../schema/errors.ts'
import { pause } from '../pause.ts'
import { isBusy } from './errors.ts'
import { lockedInstances } from './lock-files.ts'

/** Longer than another command looks at the store; a Loci that stays is in the way. In milliseconds. */
const WAIT_MS = 1_500

/** Nobody else can open the store of this directory until `release`. */
export interface Exclusive {
  /** False when SQLite cannot read the file, so that only the lock files of instances kept others out. */
  sound: boolean
  /** The connection that keeps others out, in a transaction; null when SQLite cannot read the file. */
  connection: DatabaseSync | null
  release(): void
}

/**
 * Takes `loci.db` of a directory away from every other process, and folds its log into the one file. Throws `conflict`
 * naming the processes that use it; `todo` says what the caller wants to do then. Null when there is no database.
 */
export async function lockOut(directory: string, todo: string): Promise<Exclusive | null> {
  const path = join(directory, 'loci.db')
  const deadline = performance.now() + WAIT_MS
  for (;;) {
    const working = await lockedInstances(directory)
    const taken = working.length === 0 ? take(path) : null
    if (taken) return taken === 'none' ? null : taken
    if (performance.now() > deadline) throw inUse(directory, todo)
    await pause(50)
  }
}

const UNSOUND: Exclusive = { sound: false, connection: null, release: () => undefined }

/** Null while somebody else has the database open, whether or not it does anything. */
function take(path: string): Exclusive | 'none' | null {
  if (!existsSync(path)) return 'none'
  // Opened, its log would be thrown away, and that may be all that is left.
  if (!hasHeader(path)) return UNSOUND
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    // Refused while any other connection exists; it also writes the log back and removes it.
    database.exec('PRAGMA journal_mode = DELETE')
    database.exec('BEGIN EXCLUSIVE')
    return { sound: true, connection: database, release: () => database.close() }
  } catch (error) {
    database.close()
    if (isBusy(error)) return null
    return UNSOUND
  }
}

/** An empty file is a database, too. */
function hasHeader(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const start = Buffer.alloc(16)
    const length = readSync(file, start, 0, 16, 0)
    return length === 0 || start.toString('latin1') === 'SQLite format 3\0'
  } finally {
    closeSync(file)
  }
}

function inUse(directory: string, todo: string): AppError {
  const pids = openedBy(join(directory, 'loci.db'))
  const who = pids.length === 0 ? 'another Loci' : `process ${pids.join(', ')}`
  return new AppError(
    'conflict',
    `${directory} is in use by ${who}. Stop it (loci server, an MCP host with loci mcp, VS Code), then ${todo}.`,
    { data: { directory, pids } },
  )
}

/** The processes that have this database open, where the system tells (Linux); none elsewhere. */
export function openedBy(path: string): number[] {
  try {
    const files = [path, `${path}-shm`].flatMap((file) => statSync(file, { throwIfNoEntry: false }) ?? [])
    const inodes = new Set(files.map(({ ino }) => String(ino)))
    const pids = readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [, pid, inode] = /\s(\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s/.exec(line) ?? []
        return pid !== undefined && inode !== undefined && inodes.has(inode) ? [Number(pid)] : []
      })
    return [...new Set(pids)].filter((pid) => pid > 0 && pid !== process.pid)
  } catch {
    // Not Linux, or not allowed: the message does without.
    return []
  }
}

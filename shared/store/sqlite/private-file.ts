import { chmodSync, closeSync, openSync, statSync } from 'node:fs'

/**
 * Makes an empty file that only this user can read, or takes the rights of everybody else from one that is there.
 * SQLite gives its log and index files the rights of the database. Windows has its own rules and is left alone.
 */
export function makePrivate(path: string): void {
  if (process.platform === 'win32') return
  try {
    // Only ever a file that nobody has open: to close one would drop the locks that this process holds on it.
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    for (const file of [path, `${path}-wal`, `${path}-shm`]) takeRights(file)
  }
}

function takeRights(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat?.isFile() || (stat.mode & 0o077) === 0 || stat.uid !== process.geteuid?.()) return
  chmodSync(path, stat.mode & 0o700)
}

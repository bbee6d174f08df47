import { isAppError, messageOf } from '../../schema/errors.ts'
import { unavailable } from '../sql/errors.ts'

const BUSY = 5
const LOCKED = 6
const CONSTRAINT = 19

/** SQLite's primary result code of an error thrown by `node:sqlite`; null for any other error. */
function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null
  return error.errcode & 0xff
}

/** Another connection holds the lock: try again a little later. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error)
  return code === BUSY || code === LOCKED
}

/** Says in words what SQLite or the file system refused at `path`; errors that are not theirs come back as they are. */
export function asStoreError(error: unknown, path: string): unknown {
  if (isAppError(error)) return error
  const code = resultCode(error)
  if (code === null) return systemError(error, path)
  // A broken rule is a bug of the caller or ours, not a state of the disk.
  if (code === CONSTRAINT || code === 1) return error
  return unavailable(`${path} cannot be used: ${adviceFor(code, path, messageOf(error))}`, error)
}

function adviceFor(code: number, path: string, text: string): string {
  switch (code) {
    case BUSY:
    case LOCKED:
      return 'other processes kept it locked for too long. Try again, or close a process that hangs on it.'
    case 8:
      return 'it is read-only. Make the file and its directory writable for this user.'
    case 10:
      return `the disk reported an input/output error (${text}). Check the disk; the last commit is intact.`
    case 11:
      return `it is damaged (${text}). Stop every Loci, move it away and restore a copy from the backups directory.`
    case 13:
      return 'the disk is full. Free some space and try again; nothing acknowledged is lost.'
    case 14:
      return 'it cannot be opened. Check that the directory exists and is readable and writable for this user.'
    case 26:
      return 'it is not an SQLite database. Move it away, or choose another data directory.'
    default:
      return `SQLite says: ${text}.`
  }
}

function systemError(error: unknown, path: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return unavailable(
        `${path} is not writable for this user. Change its rights, or choose another data directory.`,
        error,
      )
    case 'EEXIST':
    case 'ENOTDIR':
      return unavailable(
        `${path} is in the way: a file is where the data directory should be. Move it, or choose another data directory.`,
        error,
      )
    case 'ENOENT':
      return unavailable(`${path} cannot be created there. Choose another data directory.`, error)
    case 'ENOSPC':
      return unavailable(`${path} cannot be written: the disk is full. Free some space and try again.`, error)
    case 'ERR_INVALID_STATE':
      return unavailable(`${path} is closed: this store has been shut down.`, error)
    default:
      return error
  }
}

import { constants, existsSync, promises as fs } from 'node:fs'
import { join, resolve } from 'node:path'
import { AppError } from '../../schema/errors.ts'
import { VERSION } from '../../schema/version.ts'
import { pause } from '../pause.ts'
import {
  type CopyOptions,
  type StoreCopy,
  syncDirectory,
  syncFile,
  timeStamp,
  verifyStore,
} from './backup.ts'
import { asStoreError } from './errors.ts'
import { lockOut } from './exclusive.ts'
import { MIGRATIONS } from './migrate.ts'

const COMPANIONS = ['-wal', '-shm', '-journal']

/** How long the old file stays locked after it was replaced, for who had just opened it. In milliseconds. */
const LINGER_MS = 200

export interface Restored {
  restored: StoreCopy
  /** Copy of the data that was there before, in `backups/`; restoring it undoes this. Null when there was none. */
  previous: string | null
}

/**
 * Puts a backup in the place of a directory's store, all at once: whatever happens, either the old or the new one is
 * there. The file is checked first and stays as it is; the present data are kept in `backups/`. Throws `not_found`,
 * `invalid_argument` or `store_unavailable` for a file that cannot be used, `store_newer` for one of a newer Loci,
 * `conflict` while another process uses the directory.
 */
export async function restore(options: { directory: string; file: string } & CopyOptions): Promise<Restored> {
  const { directory } = options
  const file = resolve(options.file)
  const path = join(directory, 'loci.db')
  const draft = join(directory, `restore-${process.pid}.tmp`)
  const isFile = await fs.stat(file).then(
    (stat) => stat.isFile(),
    () => null,
  )
  if (isFile === null) throw new AppError('not_found', `There is no file ${file} to restore.`)
  if (!isFile) throw new AppError('invalid_argument', `${file} is not a file; name a backup.`)
  if (file === resolve(path)) {
    throw new AppError('invalid_argument', `${file} is the present data itself; name a backup.`)
  }
  try {
    await fs.mkdir(join(directory, 'backups'), { recursive: true, mode: 0o700 })
    const restored = await stage(file, draft, options)
    const exclusive = await lockOut(directory, 'restore again')
    try {
      const previous = existsSync(path) ? await keep(directory, path) : null
      // A log of the old file must never be read into the new one.
      for (const suffix of exclusive?.sound ? [] : COMPANIONS) await fs.rm(path + suffix, { force: true })
      // Windows cannot replace an open file.
      if (process.platform === 'win32') exclusive?.release()
      await fs.rename(draft, path)
      await syncDirectory(directory)
      if (exclusive?.sound && process.platform !== 'win32') await pause(LINGER_MS)
      return { restored: { ...restored, path: file }, previous }
    } finally {
      if (process.platform !== 'win32') exclusive?.release()
    }
  } catch (error) {
    throw asStoreError(error, directory)
  } finally {
    for (const suffix of ['', ...COMPANIONS]) await fs.rm(draft + suffix, { force: true })
  }
}

/** Copies the backup to where it can be renamed from, and checks the copy: what is checked is what is used. */
async function stage(file: string, draft: string, options: CopyOptions): Promise<StoreCopy> {
  await copyFile(file, draft)
  // A raw copy of a store that was in use has a log beside it, which belongs to it.
  if (existsSync(`${file}-wal`)) await copyFile(`${file}-wal`, `${draft}-wal`)
  const copy = await verifyStore(draft, options, file)
  if (copy.schema > MIGRATIONS.length) {
    throw new AppError(
      'store_newer',
      `${file} was made by a newer Loci than this one (${VERSION}): restore it with that version.`,
    )
  }
  await syncFile(draft)
  return copy
}

/** The present data, also when damaged, as a file in `backups/`. */
async function keep(directory: string, path: string): Promise<string> {
  const previous = join(directory, 'backups', `${timeStamp()}-before-restore.db`)
  await copyFile(path, previous)
  if (existsSync(`${path}-wal`)) await copyFile(`${path}-wal`, `${previous}-wal`)
  await syncDirectory(join(directory, 'backups'))
  return previous
}

async function copyFile(from: string, to: string): Promise<void> {
  await fs.copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  await fs.chmod(to, 0o600)
  await syncFile(to)
}

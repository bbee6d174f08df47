import { existsSync, lstatSync, promises as fs, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, parse, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '../../schema/errors.ts'
import { syncDirectory } from './backup.ts'
import { asStoreError } from './errors.ts'
import { lockOut } from './exclusive.ts'

/** Something of Loci's in a data directory. */
export interface PurgeItem {
  /** Relative to the directory. */
  name: string
  bytes: number
}

export interface PurgePlan {
  directory: string
  /** What goes, `loci.db` last. */
  items: PurgeItem[]
  /** Names of what is not Loci's and stays; the directory itself stays with it. */
  stays: string[]
}

/** Files and folders that Loci makes in its data directory. Of a folder, only the files that match. */
const FILES =
  /^(?:loci\.db(?:-wal|-shm|-journal)?|config\.json(?:\.lock|\..*\.tmp)?|restore-\d+\.tmp.*|chat-history(?:\.tmp)?)$/
const FOLDERS: Record<string, RegExp> = {
  instances: /\.db(?:-journal|-wal|-shm)?$/,
  backups: /\.db(?:-journal|-wal|-shm|\.\d+\.tmp.*)?$/,
  files: /^file-[0-9a-f-]{36}(?:\.part)?$/,
  // Windows of editors that offer their models.
  editors: /^editor-[0-9a-f-]{36}\.json(?:\.\d+\.tmp)?$/,
  // What `loci mcp install` tells hosts to start.
  bin: /^mcp(?:\.cmd)?$/,
}

/** Folders in folders of a data directory that are Loci's with all that is in them. */
const TREES: Record<string, RegExp> = {
  // `install-parsers.ts`: what npm has put there.
  parsers: /^[0-9a-f]{16}(?:\.[0-9a-f-]{36}\.tmp)?$/,
}

/**
 * What `purge` would remove. Throws `not_found` where there is no such directory, `invalid_argument` where it is not
 * Loci's: nothing is ever removed from a folder that holds no store.
 */
export function planPurge(directory: string): PurgePlan {
  const root = resolve(directory)
  if (!existsSync(root)) {
    throw new AppError('not_found', `There is no ${root}: nothing is left of Loci's data there.`)
  }
  if (root === resolve(homedir()) || root === parse(root).root || !isOurs(root)) {
    throw new AppError(
      'invalid_argument',
      `${root} is not a data directory of Loci (no store in loci.db): nothing was removed. Name the right one with --data.`,
    )
  }
  const items: PurgeItem[] = []
  const stays: string[] = []
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    const inside = entry.isDirectory() ? FOLDERS[entry.name] : undefined
    const trees = entry.isDirectory() ? TREES[entry.name] : undefined
    if (entry.isFile() && FILES.test(entry.name)) items.push(item(root, entry.name))
    else if (!inside && !trees) stays.push(entry.name)
    else {
      for (const file of readdirSync(join(root, entry.name), { withFileTypes: true })) {
        const name = join(entry.name, file.name)
        if (file.isFile() && inside?.test(file.name)) items.push(item(root, name))
        else if (file.isDirectory() && trees?.test(file.name)) items.push(tree(root, name))
        else stays.push(name)
      }
    }
  }
  items.sort((a, b) => Number(a.name === 'loci.db') - Number(b.name === 'loci.db'))
  return { directory: root, items, stays }
}

/**
 * Removes what `plan` lists, and the directory when nothing else is in it. Throws `conflict` while another process
 * uses it, and what the system says.
 */
export async function purge(plan: PurgePlan): Promise<void> {
  const { directory } = plan
  try {
    const exclusive = await lockOut(directory, 'uninstall again')
    // Windows cannot remove an open file.
    if (process.platform === 'win32') exclusive?.release()
    try {
      for (const { name } of plan.items) await fs.rm(join(directory, name), { force: true, recursive: true })
    } finally {
      if (process.platform !== 'win32') exclusive?.release()
    }
    for (const folder of [...Object.keys(FOLDERS), ...Object.keys(TREES)])
      await removeIfEmpty(join(directory, folder))
    if (!(await removeIfEmpty(directory))) await syncDirectory(directory)
  } catch (error) {
    throw asStoreError(error, directory)
  }
}

function item(root: string, name: string): PurgeItem {
  return { name, bytes: lstatSync(join(root, name)).size }
}

function tree(root: string, name: string): PurgeItem {
  const files = readdirSync(join(root, name), { recursive: true, withFileTypes: true })
  const sizes = files
    .filter((file) => file.isFile())
    .map((file) => lstatSync(join(file.parentPath, file.name)).size)
  return { name, bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

/** A store that can be opened, or what is left of one: its folders beside a file that SQLite cannot read. */
function isOurs(directory: string): boolean {
  const path = join(directory, 'loci.db')
  if (!existsSync(path)) return false
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 1_000 })
    const names = "'meta', 'agents', 'messages', 'instances'"
    const found = database
      .prepare(`SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table' AND name IN (${names})`)
      .get()
    return Number(found?.['n']) === 4
  } catch {
    return existsSync(join(directory, 'instances')) && existsSync(join(directory, 'backups'))
  } finally {
    database?.close()
  }
}

async function removeIfEmpty(folder: string): Promise<boolean> {
  try {
    await fs.rmdir(folder)
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return true
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false
    throw error
  }
}

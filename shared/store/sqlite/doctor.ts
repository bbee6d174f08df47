import { accessSync, constants, existsSync, readdirSync, type Stats, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isAppError, messageOf } from '../../schema/errors.ts'
import type { Finding } from '../finding.ts'
import { KEY_FILE, SecretBox } from '../secret-box.ts'
import { unfinishedCopyFinding } from '../sql/unfinished-copy.ts'
import { asStoreError, isBusy } from './errors.ts'
import { openedBy } from './exclusive.ts'
import { fileSystemOf } from './file-system.ts'
import { lockedInstances } from './lock-files.ts'
import { MIGRATIONS, schemaVersion } from './migrate.ts'
import { refuseEmptied, refuseForeign } from './present-file.ts'

const MB = 1024 * 1024
const LOW_DISK = 1024 * MB
const NO_DISK = 100 * MB

/**
 * Looks at the store of a data directory without changing it, also while others use it. Never throws for what is wrong
 * with the store: that is what it reports.
 */
export async function examineStore(
  directory: string,
  { encryption_key = null }: { encryption_key?: string | null } = {},
): Promise<Finding[]> {
  if (!existsSync(directory)) return [notThere(directory)]
  const path = join(directory, 'loci.db')
  const folder = folderFindings(directory)
  if (folder.some(({ status }) => status === 'error')) return folder
  if (!existsSync(path)) {
    return [
      ...folder,
      {
        check: 'database',
        status: 'ok',
        message: `no loci.db in ${directory} yet; the first start makes it`,
      },
    ]
  }
  return [...folder, ...(await databaseFindings(directory, path, encryption_key))]
}

function notThere(directory: string): Finding {
  let parent = dirname(directory)
  while (!existsSync(parent)) parent = dirname(parent)
  const writable = mayUse(parent)
  return {
    check: 'directory',
    status: writable ? 'ok' : 'error',
    message: `${directory} is not there yet; ${writable ? 'the first start makes it' : `and ${parent} is not writable`}`,
    ...(writable ? {} : { mend: `make ${parent} writable, or choose another directory with --data` }),
  }
}

function folderFindings(directory: string): Finding[] {
  const stat = statSync(directory)
  if (!stat.isDirectory()) {
    return [
      {
        check: 'directory',
        status: 'error',
        message: `${directory} is not a directory`,
        mend: 'move it away, or choose another directory with --data',
      },
    ]
  }
  return [permissions(directory, stat), ...disk(directory)]
}

function permissions(directory: string, stat: Stats): Finding {
  const check = 'permissions'
  if (!mayUse(directory)) {
    const message = `this user may not read and write ${directory}`
    return { check, status: 'error', message, mend: `chown or chmod it for this user` }
  }
  const wrong = ['loci.db', 'config.json'].filter(
    (name) => existsSync(join(directory, name)) && !mayUse(join(directory, name)),
  )
  if (wrong.length > 0) {
    const message = `this user may not read and write ${wrong.join(' and ')} in ${directory}`
    return { check, status: 'error', message, mend: 'chown or chmod these files for this user' }
  }
  const open = process.platform !== 'win32' && (stat.mode & 0o077) !== 0
  const message = `${directory}, mode ${(stat.mode & 0o777).toString(8).padStart(4, '0')}`
  if (!open) return { check, status: 'ok', message }
  return {
    check,
    status: 'warning',
    message: `${message}: other users of this machine can look into it`,
    mend: `chmod 700 '${directory}'`,
  }
}

function mayUse(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

function disk(directory: string): Finding[] {
  const { kind, shared, free_bytes } = fileSystemOf(directory)
  const level = free_bytes < NO_DISK ? 'error' : free_bytes < LOW_DISK ? 'warning' : 'ok'
  return [
    {
      check: 'file system',
      status: shared ? 'error' : 'ok',
      message: shared
        ? `${directory} lies on ${kind}, where locks do not hold between machines: data may be lost`
        : (kind ?? 'local, as far as the system says'),
      ...(shared ? { mend: 'choose a directory on a local disk with --data or LOCI_HOME' } : {}),
      data: { kind },
    },
    {
      check: 'free disk',
      status: level,
      message: `${Math.floor(free_bytes / MB).toLocaleString('en')} MB free`,
      ...(level === 'ok' ? {} : { mend: 'free some space: what cannot be written is not acknowledged' }),
      data: { free_bytes },
    },
  ]
}

async function databaseFindings(
  directory: string,
  path: string,
  encryption_key: string | null,
): Promise<Finding[]> {
  const alive = await lockedInstances(directory)
  const findings = [sizes(directory, path)]
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 5_000 })
    database.exec('PRAGMA query_only = ON')
    refuseForeign(database, path)
    await refuseEmptied(directory)
    const integrity = quickCheck(database, path)
    findings.push(integrity, schema(database, path))
    if (integrity.status === 'ok' && schemaVersion(database) > 0)
      findings.push(
        ...unfinishedCopy(database, directory),
        ...processes(database, path, alive),
        uploads(database, directory),
        await secrets(database, directory, encryption_key),
      )
  } catch (error) {
    const said = messageOf(asStoreError(error, path))
    findings.push({
      check: 'integrity',
      status: 'error',
      message: isBusy(error) ? `${path} is locked by another process: ${said}` : said,
      // What was refused says itself what to do.
      ...(isAppError(error)
        ? {}
        : { mend: isBusy(error) ? 'wait for the other process, or stop it' : RESTORE }),
    })
  } finally {
    database?.close()
  }
  return findings
}

/** Whether all that is encrypted can be read. */
async function secrets(
  database: DatabaseSync,
  directory: string,
  encryption_key: string | null,
): Promise<Finding> {
  const check = 'secrets'
  const stored = database
    .prepare('SELECT key_id, count(*) AS n FROM agent_secrets GROUP BY key_id')
    .all()
    .map((row) => ({ key_id: String(row['key_id']), count: Number(row['n']) }))
  const total = stored.reduce((sum, { count }) => sum + count, 0)
  try {
    const keys = await new SecretBox({ directory, passphrase: encryption_key }).keys()
    const lost = stored.filter(({ key_id }) => !keys.has(key_id))
    if (lost.length === 0) {
      const message = total === 0 ? 'none is stored' : `${total} stored, and their key is here`
      return { check, status: 'ok', message, data: { stored } }
    }
    const count = lost.reduce((sum, one) => sum + one.count, 0)
    const message = `${count} of ${total} cannot be read: their key (${lost.map(({ key_id }) => key_id).join(', ')}) is not here`
    return { check, status: 'error', message, mend: FIND_KEY, data: { stored, lost } }
  } catch (error) {
    if (!isAppError(error, 'secrets_unreadable')) throw error
    const status = total === 0 ? 'warning' : 'error'
    return { check, status, message: error.message, mend: FIND_KEY, data: { stored } }
  }
}

/** A copy into this directory that has not ended: no Loci opens it. */
function unfinishedCopy(database: DatabaseSync, directory: string): Finding[] {
  const row = database.prepare("SELECT value FROM meta WHERE key = 'copy'").get()
  return row ? [unfinishedCopyFinding(String(row['value']), directory)] : []
}

/** Uploads that no file waits for; a running Loci removes them within minutes, broken ones after a quarter of an hour. */
function uploads(database: DatabaseSync, directory: string): Finding {
  const check = 'uploads'
  const folder = join(directory, 'files')
  const lying = existsSync(folder) ? readdirSync(folder) : []
  const waiting = new Set(
    database
      .prepare("SELECT id FROM files WHERE status IN ('pending', 'parsing') AND deleted = 0")
      .all()
      .map((row) => String(row['id'])),
  )
  const orphans = lying
    .filter((name) => !waiting.has(name))
    .map((name) => ({ name, stats: statSync(join(folder, name), { throwIfNoEntry: false }) }))
    .filter(({ stats }) => stats && Date.now() - stats.mtimeMs > ORPHANED_AFTER_MS)
  const bytes = orphans.reduce((sum, { stats }) => sum + (stats?.size ?? 0), 0)
  if (orphans.length === 0)
    return {
      check,
      status: 'ok',
      message: `${lying.length} wait to be read`,
      data: { waiting: lying.length },
    }
  return {
    check,
    status: 'warning',
    message: `${orphans.length} in ${folder} belong to no file that waits (${(bytes / MB).toFixed(1)} MB)`,
    mend: 'a Loci that runs (loci server) removes them within minutes',
    data: { orphans: orphans.map(({ name }) => name), bytes },
  }
}

const ORPHANED_AFTER_MS = 30 * 60_000

const FIND_KEY = `put ${KEY_FILE} back into the data directory, or set LOCI_ENCRYPTION_KEY to the key they were stored with`

const RESTORE = 'stop every Loci, then: loci restore FILE (copies are in the backups folder)'

function sizes(directory: string, path: string): Finding {
  const size = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0
  const folder = join(directory, 'backups')
  const copies = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.db')) : []
  const data = {
    database_bytes: size(path),
    log_bytes: size(`${path}-wal`),
    backups: copies.length,
    backup_bytes: copies.reduce((sum, name) => sum + size(join(folder, name)), 0),
  }
  const mb = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`
  const message = `loci.db ${mb(data.database_bytes)}, its log ${mb(data.log_bytes)}, ${data.backups} backups ${mb(data.backup_bytes)}`
  return { check: 'sizes', status: 'ok', message, data }
}

function quickCheck(database: DatabaseSync, path: string): Finding {
  const rows = database.prepare('PRAGMA quick_check(3)').all()
  const problems = rows.map((row) => String(row['quick_check'])).filter((text) => text !== 'ok')
  if (problems.length === 0) return { check: 'integrity', status: 'ok', message: 'quick_check found nothing' }
  const message = `${path} is damaged: ${problems.join('; ').replace(/\s+/g, ' ')}`
  return { check: 'integrity', status: 'error', message, mend: RESTORE }
}

function schema(database: DatabaseSync, path: string): Finding {
  const found = schemaVersion(database)
  const known = MIGRATIONS.length
  const data = { found, known }
  const check = 'schema'
  if (found > known) {
    const message = `${path} has schema ${found}, this Loci knows ${known}: a newer Loci has updated it`
    return { check, status: 'error', message, mend: 'update this Loci', data }
  }
  if (found === 0)
    return { check, status: 'ok', message: `${path} is empty; the next start begins a store in it`, data }
  if (found < known) {
    const message = `schema ${found}; the next start updates it to ${known}, after a backup`
    return { check, status: 'ok', message, data }
  }
  return { check, status: 'ok', message: `schema ${found}, the newest`, data }
}

function processes(database: DatabaseSync, path: string, alive: readonly string[]): Finding[] {
  const held = new Set(alive)
  const working = database
    .prepare('SELECT id, pid, version, started_at FROM instances')
    .all()
    .filter((row) => held.has(String(row['id'])))
  const pids = [...new Set([...openedBy(path), ...working.map((row) => Number(row['pid']))])]
  const stuck = database
    .prepare("SELECT id, instance_id FROM runs WHERE status IN ('created', 'running') LIMIT 10000")
    .all()
    .filter((row) => !held.has(String(row['instance_id'])))
    .map((row) => String(row['id']))
  const names = working.map((row) => `${String(row['pid'])} (Loci ${String(row['version'])})`)
  return [
    {
      check: 'processes',
      status: 'ok',
      message:
        pids.length === 0
          ? 'no other Loci uses this directory'
          : `used by process ${pids.join(', ')}${names.length > 0 ? `; in turns since their start: ${names.join(', ')}` : ''}`,
      data: { pids, instances: working },
    },
    {
      check: 'runs',
      status: stuck.length === 0 ? 'ok' : 'warning',
      message:
        stuck.length === 0
          ? 'no run is stuck'
          : `${stuck.length} run${stuck.length === 1 ? ' was' : 's were'} left by a process that is gone (${stuck.slice(0, 3).join(', ')}${stuck.length > 3 ? ', …' : ''})`,
      ...(stuck.length === 0
        ? {}
        : { mend: 'any Loci that is running or starts ends them within seconds: loci server' }),
      data: { stuck },
    },
  ]
}

import { join } from 'node:path'
import type { Store } from '../../core/ports/store.ts'
import { VERSION } from '../../schema/version.ts'
import { SecretBox } from '../secret-box.ts'
import { finishArchiveDeletions } from '../sql/archives.ts'
import { type DatabaseOptions, openDatabase } from './database.ts'
import { IndexUpkeep } from './index-upkeep.ts'
import { storeId } from '../sql/store-id.ts'
import { sqlStore } from '../sql/store.ts'
import { FolderUploads } from '../uploads/folder-uploads.ts'
import { LockFolder } from './lock-folder.ts'
import { UnindexedTexts } from './unindexed-texts.ts'
import { Instance } from '../sql/instances.ts'
import { indexMessages } from '../sql/message-index.ts'
import { refuseUnfinishedCopy } from '../sql/unfinished-copy.ts'
import { WriteProbe } from './write-probe.ts'

/** How long the heartbeat of a process that still holds its lock may stand still. */
const STALE_AFTER_MS = 30_000

export interface SqliteStoreOptions {
  /** The data directory; created, for this user only, when it is missing. */
  directory: string
  /** Version of this Loci, shown to an older one that meets a schema this one has updated. */
  version?: string
  /** Milliseconds after which a process that holds its lock but does nothing counts as gone; 30,000 by default. */
  stale_after_ms?: number
  /** What secrets are encrypted with; without it a key that is made and kept in the directory. */
  encryption_key?: string | null
  /** Open a directory on a network or shared file system, where SQLite's locks do not hold; false by default. */
  allow_network_fs?: boolean
  /** Hears how long each write took; must not throw. */
  onWrite?: DatabaseOptions['onWrite']
}

/**
 * Opens the store of a data directory, which any number of processes may have open at once. The caller closes it.
 * Throws `store_unavailable` when the directory or database cannot be used, `store_newer` when a newer Loci has
 * updated it.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const version = options.version ?? VERSION
  const { directory, allow_network_fs = false } = options
  const { onWrite } = options
  const database = await openDatabase({ directory, version, allow_network_fs, onWrite })
  await database
    .read((c) => refuseUnfinishedCopy(c, directory))
    .catch(async (error: unknown) => {
      await database.close()
      throw error
    })
  const instance = new Instance(database, new LockFolder(directory), {
    version,
    stale_after_ms: options.stale_after_ms ?? STALE_AFTER_MS,
  })
  const box = new SecretBox({ directory, passphrase: options.encryption_key ?? null })
  const texts = new UnindexedTexts()
  const unindexed = {
    index: () => indexMessages(database),
    find: texts.find.bind(texts),
  }
  const { events, ...parts } = sqlStore({ database, instance, box, unindexed })
  const upkeep = new IndexUpkeep(database)
  const writes = new WriteProbe(database)
  let pruningFailed: unknown = null
  const pruning = Promise.all([events.prune(), finishArchiveDeletions(database)]).catch((error: unknown) => {
    pruningFailed = error
  })
  return {
    ...parts,
    events,
    uploads: new FolderUploads(join(directory, 'files')),
    id: () => storeId(database),
    now: () => database.now(),
    async ready() {
      await database.check()
      instance.check()
      upkeep.check()
      if (pruningFailed !== null) throw pruningFailed
      await writes.check()
    },
    hurry: () => undefined,
    async close() {
      if (database.closed) return
      events.close()
      await pruning
      await upkeep.close()
      texts.close()
      await instance.close()
      await database.close()
    },
  }
}

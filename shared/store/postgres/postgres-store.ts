import { join } from 'node:path'
import type { Store } from '../../core/ports/store.ts'
import { isAppError } from '../../schema/errors.ts'
import { VERSION } from '../../schema/version.ts'
import { SecretBox } from '../secret-box.ts'
import { finishArchiveDeletions } from '../sql/archives.ts'
import { Instance } from '../sql/instances.ts'
import { storeId } from '../sql/store-id.ts'
import { sqlStore } from '../sql/store.ts'
import { LocalCopies } from '../uploads/local-copies.ts'
import { refuseUnfinishedCopy } from '../sql/unfinished-copy.ts'
import { AdvisoryLocks } from './advisory-locks.ts'
import { type DatabaseOptions, openDatabase } from './database.ts'
import { HeartbeatLocks } from './heartbeat-locks.ts'
import { Heartbeats } from './heartbeats.ts'
import { PartitionUpkeep } from './partitions.ts'
import { hasPgVector, PgVectors } from './pgvector.ts'
import { SharedKey } from './shared-key.ts'
import { PostgresUploads } from './uploads.ts'
import { WriteProbe } from './write-probe.ts'

/** How long the heartbeat of a process that still has its connection may stand still. */
const STALE_AFTER_MS = 12_000

const KEY_LOOK_MS = 60_000

export interface PostgresStoreOptions {
  /** `postgres://user:password@host:port/database`; see `readAddress`. */
  address: string
  /**
   * Where the key is kept that secrets are encrypted with, when none is given; and copies of uploads while they are read,
   * in `files`.
   */
  directory: string
  /** Version of this Loci, shown to an older one that meets a schema this one has updated. */
  version?: string
  /** Milliseconds after which a process that keeps its connection but does nothing counts as gone; 12,000 by default. */
  stale_after_ms?: number
  /** What secrets are encrypted with. Instances on several machines need one that all of them have. */
  encryption_key?: string | null
  /** How often a process without one looks whether the others have one by now, in milliseconds; 60,000 by default. */
  key_look_ms?: number
  /** Hears how long each write took: its statements, and its commit. Must not throw. */
  onWrite?: DatabaseOptions['onWrite']
  /** Hears in a sentence what the operator may want to set up in another way. Must not throw. */
  onNotice?: DatabaseOptions['onNotice']
}

/**
 * Opens a store in a database of PostgreSQL 13 or newer, which any number of processes may have open at once. The caller
 * closes it. Throws `store_unavailable` when the database cannot be used, `store_newer` when a newer Loci has updated it, and
 * `secrets_unreadable` when `encryption_key` is not the one that the store's secrets are encrypted with.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const version = options.version ?? VERSION
  const { address, onWrite, onNotice } = options
  const database = await openDatabase({ address, version, onWrite, onNotice })
  // What time it is there.
  await database
    .check()
    .then(() => database.read((c) => refuseUnfinishedCopy(c, `The database ${database.place}`)))
    .catch(async (error: unknown) => {
      await database.close()
      throw error
    })
  const stale_after_ms = options.stale_after_ms ?? STALE_AFTER_MS
  const heartbeats = new Heartbeats(database, stale_after_ms)
  const locks = database.session.stays
    ? new AdvisoryLocks(database, heartbeats)
    : new HeartbeatLocks(database, heartbeats, version)
  const instance = new Instance(database, locks, { version, stale_after_ms })
  const box = new SecretBox({
    directory: options.directory,
    passphrase: options.encryption_key ?? null,
    agreement: new SharedKey(database),
  })
  let keyWatch: NodeJS.Timeout | undefined
  const lookAtKey = async () => {
    try {
      await box.checkAgreement()
    } catch (error) {
      if (!isAppError(error, 'secrets_unreadable') || options.encryption_key) throw error
      clearInterval(keyWatch)
      onNotice?.(`${error.message} Until then it can neither read nor keep secrets.`)
    }
  }
  if (!options.encryption_key)
    // A database that is away is asked next time.
    keyWatch = setInterval(() => {
      void lookAtKey().catch(() => undefined)
    }, options.key_look_ms ?? KEY_LOOK_MS).unref()
  await lookAtKey().catch(async (error: unknown) => {
    clearInterval(keyWatch)
    await database.close()
    throw error
  })
  const vectors = (await hasPgVector(database)) ? new PgVectors(database, onNotice) : null
  const { events, ...parts } = sqlStore({
    database,
    instance,
    box,
    unindexed: null,
    ...(vectors ? { vectorIndex: vectors } : {}),
  })
  const partitions = new PartitionUpkeep(database, onNotice)
  const writes = new WriteProbe(database)
  let pruningFailed: unknown = null
  const prune = () =>
    Promise.all([events.prune(), finishArchiveDeletions(database)]).catch((error: unknown) => {
      pruningFailed = error
    })
  let pruning = prune()
  return {
    ...parts,
    events,
    uploads: new PostgresUploads(database, new LocalCopies(join(options.directory, 'files'))),
    id: () => storeId(database),
    now: () => database.now(),
    async ready() {
      instance.check()
      if (pruningFailed !== null) {
        const failed = pruningFailed
        pruningFailed = null
        // Who asks again hears how it went this time.
        pruning = prune()
        throw failed
      }
      await writes.check()
    },
    hurry: (ms) => database.hurry(ms),
    async close() {
      if (database.closed) return
      clearInterval(keyWatch)
      events.close()
      await pruning
      await vectors?.close()
      await partitions.close()
      try {
        await instance.close()
      } finally {
        await database.close()
      }
    },
  }
}

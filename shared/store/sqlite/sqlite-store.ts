import type { Store } from '../../core/ports/store.ts'
import { VERSION } from '../../schema/version.ts'
import { SecretBox } from '../secret-box.ts'
import { SqliteSecrets } from './agent-secrets.ts'
import { SqliteAccessTokens } from './access-tokens.ts'
import { SqliteAgents } from './agents.ts'
import { finishArchiveDeletions, SqliteArchives } from './archives.ts'
import { readBacklog } from './backlog.ts'
import { SqliteBatches } from './batches.ts'
import { SqliteBlocks } from './blocks.ts'
import { SqliteCompactions } from './compactions.ts'
import { SqliteConversations } from './conversations.ts'
import { type DatabaseOptions, openDatabase } from './database.ts'
import { SqliteEvents } from './events.ts'
import { SqliteFiles } from './files.ts'
import { SqliteFolders } from './folders.ts'
import { SqliteGroups } from './groups.ts'
import { SqliteIdentities } from './identities.ts'
import { SqliteImports } from './imports.ts'
import { IndexUpkeep } from './index-upkeep.ts'
import { Instance } from './instances.ts'
import { indexMessages } from './message-index.ts'
import { SqliteMcpServers } from './mcp-servers.ts'
import { SqliteMessages } from './messages.ts'
import { SqliteMigration } from './migration.ts'
import { SqlitePassages } from './passages.ts'
import { SqliteProviderCalls } from './provider-calls.ts'
import { SqliteRetention } from './retention.ts'
import { SqliteRunStreams } from './run-chunks.ts'
import { SqliteSchedules } from './schedules.ts'
import { SqliteTemplates } from './templates.ts'
import { SqliteTools } from './tools.ts'
import { SqliteTraces } from './traces.ts'
import { SqliteTurns } from './turns.ts'
import { SqliteUsage } from './usage.ts'
import { SqliteUsers } from './users.ts'
import { VectorIndex } from './vector-index.ts'
import { SqliteVectors } from './vectors.ts'
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
  const instance = new Instance(database, {
    version,
    stale_after_ms: options.stale_after_ms ?? STALE_AFTER_MS,
  })
  const box = new SecretBox({ directory, passphrase: options.encryption_key ?? null })
  const vectorIndex = new VectorIndex(database)
  const messages = new SqliteMessages(database, () => indexMessages(database), vectorIndex)
  const events = new SqliteEvents(database)
  const upkeep = new IndexUpkeep(database)
  const writes = new WriteProbe(database)
  let pruningFailed: unknown = null
  const pruning = Promise.all([events.prune(), finishArchiveDeletions(database)]).catch((error: unknown) => {
    pruningFailed = error
  })
  return {
    agents: new SqliteAgents(database, box),
    secrets: new SqliteSecrets(database, box),
    blocks: new SqliteBlocks(database),
    conversations: new SqliteConversations(database, instance),
    groups: new SqliteGroups(database),
    identities: new SqliteIdentities(database),
    archives: new SqliteArchives(database),
    passages: new SqlitePassages(database, vectorIndex),
    vectors: new SqliteVectors(database, instance, () => indexMessages(database)),
    tools: new SqliteTools(database),
    mcp_servers: new SqliteMcpServers(database, box),
    imports: new SqliteImports(database, instance, box),
    migration: new SqliteMigration(database, box),
    folders: new SqliteFolders(database),
    files: new SqliteFiles(database, instance, vectorIndex),
    messages,
    turns: new SqliteTurns(database, instance),
    batches: new SqliteBatches(database, instance),
    provider_calls: new SqliteProviderCalls(database),
    compactions: new SqliteCompactions(database, instance),
    streams: new SqliteRunStreams(database, instance),
    schedules: new SqliteSchedules(database, instance),
    templates: new SqliteTemplates(database),
    traces: new SqliteTraces(database),
    events,
    retention: new SqliteRetention(database),
    usage: new SqliteUsage(database),
    users: new SqliteUsers(database),
    access_tokens: new SqliteAccessTokens(database),
    backlog: () => database.read(readBacklog),
    async ready() {
      await database.check()
      instance.check()
      upkeep.check()
      if (pruningFailed !== null) throw pruningFailed
      await writes.check()
    },
    async close() {
      if (database.closed) return
      events.close()
      await pruning
      await upkeep.close()
      messages.close()
      instance.close()
      await database.close()
    },
  }
}

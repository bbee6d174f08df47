import type { Store } from '../../core/ports/store.ts'
import { VERSION } from '../../schema/version.ts'
import { SecretBox } from '../secret-box.ts'
import { SqlSecrets } from '../sql/agent-secrets.ts'
import { SqlAccessTokens } from '../sql/access-tokens.ts'
import { SqlAgents } from '../sql/agents.ts'
import { finishArchiveDeletions, SqlArchives } from '../sql/archives.ts'
import { readBacklog } from '../sql/backlog.ts'
import { SqlBatches } from '../sql/batches.ts'
import { SqlBlocks } from '../sql/blocks.ts'
import { SqlCompactions } from '../sql/compactions.ts'
import { SqlConversations } from '../sql/conversations.ts'
import { type DatabaseOptions, openDatabase } from './database.ts'
import { SqlEvents } from '../sql/events.ts'
import { SqlFiles } from '../sql/files.ts'
import { SqlFolders } from '../sql/folders.ts'
import { SqlGroups } from '../sql/groups.ts'
import { SqlIdentities } from '../sql/identities.ts'
import { SqlImports } from '../sql/imports.ts'
import { IndexUpkeep } from './index-upkeep.ts'
import { Instance } from '../sql/instances.ts'
import { indexMessages } from '../sql/message-index.ts'
import { SqlMcpServers } from '../sql/mcp-servers.ts'
import { SqlMessages } from '../sql/messages.ts'
import { SqlMigration } from '../sql/migration.ts'
import { SqlPassages } from '../sql/passages.ts'
import { SqlProviderCalls } from '../sql/provider-calls.ts'
import { SqlRetention } from '../sql/retention.ts'
import { SqlRunStreams } from '../sql/run-chunks.ts'
import { SqlSchedules } from '../sql/schedules.ts'
import { SqlTemplates } from '../sql/templates.ts'
import { SqlTools } from '../sql/tools.ts'
import { SqlTraces } from '../sql/traces.ts'
import { SqlTurns } from '../sql/turns.ts'
import { SqlUsage } from '../sql/usage.ts'
import { SqlUsers } from '../sql/users.ts'
import { VectorIndex } from '../sql/vector-index.ts'
import { SqlVectors } from '../sql/vectors.ts'
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
  const messages = new SqlMessages(database, () => indexMessages(database), vectorIndex)
  const events = new SqlEvents(database)
  const upkeep = new IndexUpkeep(database)
  const writes = new WriteProbe(database)
  let pruningFailed: unknown = null
  const pruning = Promise.all([events.prune(), finishArchiveDeletions(database)]).catch((error: unknown) => {
    pruningFailed = error
  })
  return {
    agents: new SqlAgents(database, box),
    secrets: new SqlSecrets(database, box),
    blocks: new SqlBlocks(database),
    conversations: new SqlConversations(database, instance),
    groups: new SqlGroups(database),
    identities: new SqlIdentities(database),
    archives: new SqlArchives(database),
    passages: new SqlPassages(database, vectorIndex),
    vectors: new SqlVectors(database, instance, () => indexMessages(database)),
    tools: new SqlTools(database),
    mcp_servers: new SqlMcpServers(database, box),
    imports: new SqlImports(database, instance, box),
    migration: new SqlMigration(database, box),
    folders: new SqlFolders(database),
    files: new SqlFiles(database, instance, vectorIndex),
    messages,
    turns: new SqlTurns(database, instance),
    batches: new SqlBatches(database, instance),
    provider_calls: new SqlProviderCalls(database),
    compactions: new SqlCompactions(database, instance),
    streams: new SqlRunStreams(database, instance),
    schedules: new SqlSchedules(database, instance),
    templates: new SqlTemplates(database),
    traces: new SqlTraces(database),
    events,
    retention: new SqlRetention(database),
    usage: new SqlUsage(database),
    users: new SqlUsers(database),
    access_tokens: new SqlAccessTokens(database),
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

import type { SecretBox } from '../secret-box.ts'
import { SqlSecrets } from './agent-secrets.ts'
import { SqlAgents } from './agents.ts'
import { SqlArchives } from './archives.ts'
import { SqlBatches } from './batches.ts'
import { SqlBlocks } from './blocks.ts'
import { SqlCompactions } from './compactions.ts'
import { SqlConversations } from './conversations.ts'
import type { Database } from './database.ts'
import { SqlEvents } from './events.ts'
import { SqlFiles } from './files.ts'
import { SqlFolders } from './folders.ts'
import { SqlGroups } from './groups.ts'
import { SqlIdentities } from './identities.ts'
import { SqlImports } from './imports.ts'
import type { Instance } from './instances.ts'
import { SqlAccessTokens } from './access-tokens.ts'
import { readBacklog } from './backlog.ts'
import { SqlMigration } from './migration.ts'
import { SqlRetention } from './retention.ts'
import { SqlTemplates } from './templates.ts'
import { SqlUsage } from './usage.ts'
import { SqlMcpServers } from './mcp-servers.ts'
import { SqlMessages, type UnindexedMessages } from './messages.ts'
import { SqlPassages } from './passages.ts'
import { SqlProviderCalls } from './provider-calls.ts'
import { SqlRunStreams } from './run-chunks.ts'
import { SqlSchedules } from './schedules.ts'
import { SqlTools } from './tools.ts'
import { SqlTraces } from './traces.ts'
import { SqlTurns } from './turns.ts'
import { SqlUsers } from './users.ts'
import { SignIndex, type VectorIndex } from './vector-index.ts'
import { SqlVectors } from './vectors.ts'

/** What a store of any engine is made of. */
export function sqlStore({
  database,
  instance,
  box,
  unindexed,
  vectorIndex = new SignIndex(database),
}: {
  database: Database
  instance: Instance
  box: SecretBox
  /** Null where messages enter the full-text index in their own commit. */
  unindexed: UnindexedMessages | null
  vectorIndex?: VectorIndex
}) {
  return {
    agents: new SqlAgents(database, box),
    secrets: new SqlSecrets(database, box),
    blocks: new SqlBlocks(database),
    conversations: new SqlConversations(database, instance),
    groups: new SqlGroups(database),
    identities: new SqlIdentities(database),
    archives: new SqlArchives(database),
    passages: new SqlPassages(database, vectorIndex),
    vectors: new SqlVectors(database, instance, vectorIndex, async () => await unindexed?.index()),
    tools: new SqlTools(database),
    mcp_servers: new SqlMcpServers(database, box),
    imports: new SqlImports(database, instance, box),
    migration: new SqlMigration(database, box),
    folders: new SqlFolders(database),
    files: new SqlFiles(database, instance, vectorIndex),
    messages: new SqlMessages(database, unindexed, vectorIndex),
    turns: new SqlTurns(database, instance),
    batches: new SqlBatches(database, instance),
    provider_calls: new SqlProviderCalls(database),
    compactions: new SqlCompactions(database, instance),
    streams: new SqlRunStreams(database, instance),
    schedules: new SqlSchedules(database, instance),
    templates: new SqlTemplates(database),
    traces: new SqlTraces(database),
    retention: new SqlRetention(database),
    usage: new SqlUsage(database),
    access_tokens: new SqlAccessTokens(database),
    backlog: () => database.read(readBacklog),
    events: new SqlEvents(database),
    users: new SqlUsers(database),
  }
}

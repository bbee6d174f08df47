import type { AccessTokenStore } from './access-token-store.ts'
import type { AgentStore } from './agent-store.ts'
import type { ArchiveStore } from './archive-store.ts'
import type { BatchStore } from './batch-store.ts'
import type { BlockStore } from './block-store.ts'
import type { CompactionStore } from './compaction-store.ts'
import type { ConversationStore } from './conversation-store.ts'
import type { EventStore } from './event-store.ts'
import type { FileStore } from './file-store.ts'
import type { FolderStore } from './folder-store.ts'
import type { GroupStore } from './group-store.ts'
import type { IdentityStore } from './identity-store.ts'
import type { ImportStore } from './import-store.ts'
import type { McpServerStore } from './mcp-server-store.ts'
import type { MessageStore } from './message-store.ts'
import type { MigrationStore } from './migration-store.ts'
import type { PassageStore } from './passage-store.ts'
import type { ProviderCallStore } from './provider-batches.ts'
import type { RetentionStore } from './retention-store.ts'
import type { RunStreamStore } from './run-stream-store.ts'
import type { ScheduleStore } from './schedule-store.ts'
import type { SecretStore } from './secret-store.ts'
import type { TemplateStore } from './template-store.ts'
import type { ToolStore } from './tool-store.ts'
import type { TraceStore } from './trace-store.ts'
import type { TurnStore } from './turn-store.ts'
import type { UploadStore } from './upload-store.ts'
import type { UsageStore } from './usage-store.ts'
import type { UserStore } from './user-store.ts'
import type { VectorStore } from './vector-store.ts'

/** How much waits, and whoever may do it. */
export interface Backlog {
  batch_requests: number
  /** Uploaded files that are to be read, those that are being read included. */
  files: number
  /** Archives, agents and folders with texts that have no vectors yet. */
  embeddings: number
}

/** Coarse commands: each method is one transaction of its adapter. */
export interface Store {
  readonly agents: AgentStore
  readonly secrets: SecretStore
  readonly blocks: BlockStore
  readonly conversations: ConversationStore
  readonly folders: FolderStore
  readonly files: FileStore
  readonly groups: GroupStore
  readonly identities: IdentityStore
  readonly archives: ArchiveStore
  readonly passages: PassageStore
  readonly vectors: VectorStore
  readonly tools: ToolStore
  readonly mcp_servers: McpServerStore
  readonly imports: ImportStore
  readonly migration: MigrationStore
  readonly messages: MessageStore
  readonly turns: TurnStore
  readonly batches: BatchStore
  readonly provider_calls: ProviderCallStore
  readonly compactions: CompactionStore
  readonly streams: RunStreamStore
  readonly schedules: ScheduleStore
  readonly templates: TemplateStore
  readonly traces: TraceStore
  readonly events: EventStore
  readonly retention: RetentionStore
  readonly usage: UsageStore
  readonly users: UserStore
  readonly access_tokens: AccessTokenStore
  /** Uploads where this store keeps them: beside it, or in it. */
  readonly uploads: UploadStore
  /** What tells it from all other stores. */
  id(): Promise<string>
  /** The time by the clock that all processes of this store have in common, whatever that of this machine says. */
  now(): Date
  /** What waits to be done, of every organisation. */
  backlog(): Promise<Backlog>
  /** Throws `store_unavailable` when the store cannot answer, or cannot be written, now; within some seconds. */
  ready(): Promise<void>
  /** The process ends: a store that is away in so many milliseconds is not waited for any more, but for moments. */
  hurry(ms: number): void
  /** Releases locks and files. Turns still open are failed by the next instance that looks. */
  close(): Promise<void>
}

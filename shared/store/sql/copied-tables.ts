import type { Tables } from './tables.ts'

/**
 * The tables that `loci store copy` brings to another store, in an order in which a row comes after those that it refers
 * to. A test fails when a table of a migration is neither here nor in `NOT_COPIED`.
 */
export const COPIED = [
  'meta',
  'organizations',
  'users',
  'api_keys',
  'access_tokens',
  'request_counts',
  'agents',
  'agent_tags',
  'agent_files',
  'blocks',
  'block_tags',
  'agents_blocks',
  'block_history',
  'archives',
  'archives_agents',
  'passages',
  'passage_tags',
  'embeddings',
  'vectors',
  'folders',
  'files',
  'file_texts',
  'file_passages',
  'agents_folders',
  'agents_files',
  'tools',
  'agents_tools',
  'mcp_servers',
  'mcp_tools',
  'agent_secrets',
  'groups',
  'groups_agents',
  'groups_blocks',
  'identities',
  'identities_agents',
  'identities_blocks',
  'conversations',
  'messages',
  'context_messages',
  'earlier_contexts',
  'compactions',
  'conversations_blocks',
  'runs',
  'batches',
  'batch_items',
  'provider_calls',
  'run_chunks',
  'run_otids',
  'steps',
  'usage_hours',
  'traces',
  'trace_texts',
  'schedules',
  'templates',
  'template_versions',
  'deployments',
  'deletions',
  'brought',
  'brought_histories',
  'events',
] as const satisfies readonly (keyof Tables)[]

/** Full-text indexes are made anew from the texts; the processes of a store are not those of its copy. */
export const NOT_COPIED = [
  'messages_fts',
  'passages_fts',
  'instances',
] as const satisfies readonly (keyof Tables)[]

/** Columns that each store has of its own: they follow from others, or from the engine. */
export const OWN_COLUMNS: ReadonlySet<string> = new Set(['events.xid', 'vectors.bits', 'vectors.embedding'])

/** Rows of `meta` that say something of the one store they are in. */
export const OWN_META = [
  'schema_version',
  'oldest_writer',
  'loci_version',
  'messages_indexed',
  'encryption_key_id',
  'copy',
] as const

/** A table as it is copied: the columns that both engines have. */
export interface CopiedTable {
  name: string
  columns: readonly string[]
  /** The columns of its primary key, by which its rows are walked through. */
  key: readonly string[]
  /** The column whose numbers the store gives, each only once; null when there is none. */
  numbered: string | null
}

import type { Scenario } from './lib/context.ts'

/** Each loaded when it is asked for. */
export const SCENARIOS: Record<string, () => Promise<Scenario>> = {
  start: async () => (await import('./scenarios/start.ts')).start,
  create: async () => (await import('./scenarios/create.ts')).create,
  turns: async () => (await import('./scenarios/turns.ts')).turns,
  transactions: async () => (await import('./scenarios/transactions.ts')).transactions,
  stream: async () => (await import('./scenarios/stream.ts')).stream,
  paced: async () => (await import('./scenarios/paced.ts')).paced,
  sockets: async () => (await import('./scenarios/sockets.ts')).sockets,
  conversations: async () => (await import('./scenarios/conversations.ts')).conversations,
  resume: async () => (await import('./scenarios/resume.ts')).resume,
  compaction: async () => (await import('./scenarios/compaction.ts')).compaction,
  stalls: async () => (await import('./scenarios/stalls.ts')).stalls,
  import: async () => (await import('./scenarios/import.ts')).imports,
  files: async () => (await import('./scenarios/files.ts')).files,
  mcp: async () => (await import('./scenarios/mcp.ts')).mcp,
  access: async () => (await import('./scenarios/access.ts')).access,
  prefix: async () => (await import('./scenarios/prefix.ts')).prefix,
  store: async () => (await import('./scenarios/store.ts')).store,
  scale: async () => (await import('./scenarios/scale.ts')).scale,
  search: async () => (await import('./scenarios/search.ts')).search,
  tools: async () => (await import('./scenarios/tools.ts')).tools,
  operations: async () => (await import('./scenarios/operations.ts')).operations,
  'round-trips': async () => (await import('./scenarios/round-trips.ts')).roundTrips,
  events: async () => (await import('./scenarios/events.ts')).events,
  instances: async () => (await import('./scenarios/instances.ts')).instances,
  'million-messages': async () => (await import('./scenarios/million-messages.ts')).millionMessages,
  sizes: async () => (await import('./scenarios/sizes.ts')).sizes,
  'million-passages': async () => (await import('./scenarios/million-passages.ts')).millionPassages,
}

/** Those that measure whatever engine the store is kept in. */
export const ANY_ENGINE: readonly string[] =
  'create turns conversations import store search operations million-messages'.split(' ')
/** Those that start a PostgreSQL whatever the engine is; they run when they are named, or with `--store postgres`. */
export const IN_POSTGRES: readonly string[] =
  'round-trips events instances sizes million-messages million-passages'.split(' ')

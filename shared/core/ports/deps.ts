import type { Clock } from './actor.ts'
import type { CustomTools } from './custom-tools.ts'
import type { Embeddings } from './embedder.ts'
import type { McpConnections } from './mcp-servers.ts'
import type { Models } from './models.ts'
import type { TurnObserver } from './observer.ts'
import type { ProviderBatching } from './provider-batches.ts'
import type { Store } from './store.ts'
import type { ToolRunner } from './tools.ts'

/** Everything the agent is given. */
export interface CoreDeps {
  store: Store
  models: Models
  /** Absent: model calls of batches are calls as any others. */
  provider_batches?: ProviderBatching
  /** Absent: search is by words alone. */
  embeddings?: Embeddings
  tools: ToolRunner
  /** Reads and runs the code of tools. Absent: tools of one's own are neither made nor run. */
  custom?: CustomTools
  /** Connections to MCP servers. Absent: their tools are neither added nor run. */
  mcp?: McpConnections
  /** Absent: nobody looks at turns. */
  observer?: TurnObserver
  clock: Clock
}

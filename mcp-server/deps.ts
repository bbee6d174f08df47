import type { LociClient } from '../shared/client/http.ts'
import type { CallQueue } from './call-queue.ts'
import type { ResourceUpdates } from './resources/updates.ts'
import type { Decisions } from './turn/decisions.ts'

/** What every connection needs from the process. */
export interface McpDeps {
  /** Opens the core at the first call and answers with the same client; again at the next call when it failed. */
  client: () => Promise<LociClient>
  /** One line for the operator, on stderr. */
  log: (text: string) => void
  /** True when a call ended because the host left, not because it was cancelled. */
  hostIsGone: () => boolean
  /** The process does not end before this has. */
  finish: (turn: Promise<unknown>) => void
  /** Calls work a few at a time. */
  queue: CallQueue
  /** What was decided about some calls of a message of which others are undecided. */
  decisions: Decisions
  /** Which resources change. */
  updates: ResourceUpdates
}

import type { ActiveRuns } from '../core/active-runs.ts'
import type { Actor } from '../core/ports/actor.ts'
import type { CoreDeps } from '../core/ports/deps.ts'
import type { AnswerCache } from './answer-cache.ts'
import type { Download } from './images.ts'
import type { Metrics } from './metrics.ts'
import type { OneAtATime } from './one-at-a-time.ts'
import type { BatchQueue } from './batch-queue.ts'
import type { RepeatedCalls } from './repeated-calls.ts'
import type { RetentionRules } from './retention.ts'
import type { TurnQueue } from './turn-queue.ts'
import type { Uploads } from './uploads.ts'
import type { Editors } from './editors.ts'
import type { Providers } from './providers.ts'
import { DEFAULT_ORGANIZATION_ID, DEFAULT_USER_ID } from '../schema/ids.ts'

/** What every route is given. */
export interface ServerContext {
  deps: CoreDeps
  runs: ActiveRuns
  /** The providers that users add. */
  providers: Providers
  /** The windows of editors that offer their models. */
  editors: Editors
  /** Hears of failures that are ours, with the id of the request they belong to; must not throw. */
  onFailure(where: string, error: unknown, request_id?: string): void
  /** Calls of tools that clients may send again. */
  calls: RepeatedCalls
  /** Answers to questions that leave no trace, for agents that keep them. */
  answers: AnswerCache
  /** Messages that wait for their conversation. */
  queue: TurnQueue
  /** What does the requests of batches. */
  batches: Pick<BatchQueue, 'wake'>
  /** After how many days what is stored is deleted. */
  retention: RetentionRules
  /** What Prometheus reads; null when it is off. */
  metrics: Metrics | null
  /** Names of agents that are being given. */
  names: OneAtATime
  /** Files that are uploaded. */
  uploads: Uploads
  /** Fetches the images of messages. */
  download: Download
  /** What goes on after its answer was sent, and never rejects: the server waits for it before it closes the store. */
  tasks: Set<Promise<void>>
  /** Aborted when the server shuts down: streams that never end by themselves end. */
  closing: AbortSignal
}

/** Whom a request acts for: so far everybody is the default user of the default organisation. */
export const DEFAULT_ACTOR: Actor = {
  user_id: DEFAULT_USER_ID,
  organization_id: DEFAULT_ORGANIZATION_ID,
}

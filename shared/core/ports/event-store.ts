import type { Event } from '../../schema/event.ts'
import type { Actor } from './actor.ts'

export interface EventStore {
  /** Id of the newest event of any organisation; 0 when there is none. */
  lastId(): Promise<number>
  /** Whether the feed can go on after this id: false for one that never was, and when some that followed are gone by now. */
  reaches(after: number): Promise<boolean>
  /** Events after this id, oldest first, and then each new one as it is committed by any process. Ends on abort. */
  watch(actor: Actor, after: number, options: { signal: AbortSignal }): AsyncIterable<Event>
  /** Calls back soon after anything was committed by any process, once for many commits. Returns how to stop. */
  onChange(listener: () => void): () => void
}

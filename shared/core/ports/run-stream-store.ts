import type { Run } from '../../schema/run.ts'
import type { Actor } from './actor.ts'

/**
 * A piece of a run's stream as clients get it: server-sent events, numbered from `first_seq` on without a gap. `text`
 * is all of them one after another; each ends with a blank line and has none before.
 */
export interface RunChunks {
  first_seq: number
  count: number
  text: string
  /** Chunks before this number may be dropped: the stream has grown beyond its limit. */
  keep_from?: number
}

export interface AppendChunks extends RunChunks {
  run_id: string
  conversation_id: string
  epoch: number
  /** This process ends in good order and leaves the run to another one, which may take it at once. */
  leaving?: boolean
}

/** A part of a stored stream, and how its run stood at the same moment. */
export interface StoredStream {
  run: Run
  /** `none`: this run's stream is not stored. `pruned`: it is no longer. */
  state: 'none' | 'stored' | 'pruned'
  /** Its oldest chunks are stored no longer. */
  trimmed: boolean
  /** The first chunk that is kept, and the last one stored; 0 when there is none yet. */
  first_seq: number
  last_seq: number
  /** Chunks after the one asked for; their last number (the one asked for when `text` is empty). */
  text: string
  read_to: number
}

/** Streams of background runs, so that any instance can serve them from any chunk on. */
export interface RunStreamStore {
  /** Throws `lease_lost` when another instance has taken the run over. */
  append(actor: Actor, chunks: AppendChunks): Promise<void>
  /**
   * Chunks after number `after`: about `limit` of them, and more when they were stored together; 0 for none. When the run has ended, and
   * nothing was read, there is nothing more to come. Null when there is no such run.
   */
  read(actor: Actor, run_id: string, after: number, limit: number): Promise<StoredStream | null>
  /** The newest run whose input had this otid, in a conversation (the agent's id for its default one). */
  findRun(actor: Actor, conversation_id: string, otid: string): Promise<string | null>
  /** Drops the streams of runs that ended before this time, a few at a time, in every organisation. */
  prune(before: Date): Promise<void>
}

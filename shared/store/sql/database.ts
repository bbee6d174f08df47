import type { Actor } from '../../core/ports/actor.ts'
import type { EventType } from '../../schema/event.ts'
import type { Connection } from './query.ts'

export type { Connection } from './query.ts'

/** What a command answered, committed but perhaps not on disk yet. */
export interface Committed<T> {
  value: T
  /** Resolves when it is on disk; rejects with `store_unavailable` when that failed. */
  durable: Promise<void>
}

/** A write in progress. What it does becomes visible at once, with its events, or not at all. */
export interface Transaction extends Connection {
  /** Records a change for everybody who watches, in any process. */
  event(actor: Actor, type: EventType, object_id: string, agent_id: string | null): Promise<void>
  /**
   * Something beside the database that goes with this command: done when the command has succeeded, before anybody sees
   * what it wrote, and undone should the transaction fail after all. For what nobody may miss: leases that are taken.
   */
  alongside(effect: () => void, undo: () => void): void
  /**
   * The same, done not before it is certain, where that takes time: for what nobody may see too early (leases that are
   * given back, what is remembered of the rows).
   */
  afterwards(effect: () => void, undo: () => void): void
}

/** What a command says of itself. */
export interface WriteOptions {
  /**
   * It writes the row on which it decides (a turn that of its conversation), so that of two at once one fails and runs
   * again whatever else they have read. PostgreSQL need not watch what it reads then, which it does by pages: turns
   * that have nothing to do with each other would stop each other.
   */
  guarded?: boolean
  /**
   * It takes one row, or rows one by one, that nobody else has or is about to take (`unlessTaken`), and decides on nothing
   * but that: other commands may come between its statements. Those who take from one queue at once do not meet.
   */
  claims?: boolean
  /** A store that is away is given a moment, and not the usual time. */
  hurried?: boolean
}

/**
 * A store's engine, as the queries of this room see it. `work` asks nothing but its connection: it holds a transaction
 * open while it waits. It may run again after a rollback.
 */
export interface Database {
  readonly engine: Connection['engine']
  readonly closed: boolean
  /** When it was last found away, or to take no writes, by `performance.now()`: nobody could show that they are there. */
  readonly lostAt: number
  /** The time by the clock that all processes of the store have in common. */
  now(): Date
  /** Several reads of one moment. */
  read<T>(work: (connection: Connection) => T | Promise<T>): Promise<T>
  /**
   * A command that writes: as if no other one came between, in this process or another, and all of it is committed or
   * nothing. Resolves when it is on disk. Throws `store_newer` when the schema has been migrated by a newer Loci.
   */
  write<T>(work: (transaction: Transaction) => T | Promise<T>, options?: WriteOptions): Promise<T>
  /**
   * As `write`, but resolves when the command is committed, with a promise of its being on disk. Until that has resolved
   * nobody may be told of it.
   */
  writeEarly<T>(
    work: (transaction: Transaction) => T | Promise<T>,
    options?: WriteOptions,
  ): Promise<Committed<T>>
  /** Calls back after commits of any process that wrote events, with what keeps it from seeing them, if something does. */
  follow(listener: (problem: unknown) => void): () => void
  /** Drops what deleted rows have left in the full-text indexes, in short transactions. */
  mergeIndexes(indexes?: readonly ('messages_fts' | 'passages_fts')[]): Promise<void>
  /** So many messages of a conversation came at once: they are read by what is there now, not by what was there before. */
  refreshStatistics(conversation_id: string, messages: number): Promise<void>
}

/** How the processes of one store see which of them are there. */
export interface InstanceLocks {
  /** An id for this process's instance, of a form that tells how others see that it is there. */
  newId(): string
  /**
   * Whether `take` keeps the row of the instance and its heartbeat, all the time. Else the lock shows that the process is
   * there, and the heartbeat, while it holds something, that it works.
   */
  readonly beats: boolean
  /** Takes the lock of this process's instance, which ends with the process however it dies; again is the same as once. */
  take(id: string): Promise<void>
  /** `held` is a process that is there and may stand still; `beating` is one that works. */
  look(connection: Connection, id: string): Promise<'free' | 'held' | 'beating'>
  /** Throws what keeps the heart from beating. */
  check(): void
  /** Removes what a dead instance has left. */
  remove(id: string): void
  /** Removes what instances have left that died before they registered. */
  removeOrphans(known: ReadonlySet<string>): Promise<void>
  /** Lets this process's own lock go. */
  release(id: string): Promise<void>
}

import type { RetentionKind } from '../../schema/retention.ts'

/**
 * What is deleted because it is old, of every organisation. Messages that are in the context of a conversation, or in an
 * earlier one that can be gone back to, are never among it, nor runs and batches that have not ended.
 */
export interface RetentionStore {
  /** How many of a kind are older: what `deleteOlder` would delete now. */
  countOlder(kind: RetentionKind, before: Date): Promise<number>
  /** Deletes them in many short transactions, until there are none or `signal` aborts. Answers how many there were. */
  deleteOlder(kind: RetentionKind, before: Date, options: { signal: AbortSignal }): Promise<number>
}

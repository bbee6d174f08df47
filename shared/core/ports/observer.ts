import type { UsageStatistics } from '../../schema/message.ts'
import type { Actor } from './actor.ts'

/** A turn as those see it who look at it from outside. */
export interface ObservedTurn {
  actor: Actor
  run_id: string
  conversation_id: string
  agent: { id: string; name: string }
  /** The handle that the turn begins with; null: the server's default. */
  model: string | null
}

/** How it ended. */
export interface TurnOutcome {
  status: 'completed' | 'failed' | 'cancelled'
  stop_reason: string
  usage: UsageStatistics
  error?: { type: string; message: string }
}

/** Looks at turns from outside. Nothing of it may throw, and nobody waits for it. */
export interface TurnObserver {
  /** Does `work`, at once and exactly once, and answers what it answers. */
  turn<T extends TurnOutcome>(turn: ObservedTurn, work: () => Promise<T>): Promise<T>
}

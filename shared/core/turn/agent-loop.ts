import type { StopReason } from '../../schema/message.ts'
import type { AgentEvent } from '../events.ts'
import type { ModelRequest } from '../ports/models.ts'
import type { Answer } from './answer.ts'
import type { OpenStep } from './records.ts'
import type { ExecutedCall } from './tool-calls.ts'

/** What the model may do in the next step. */
export type Offer = Pick<ModelRequest, 'tools' | 'tool_choice' | 'parallel_tool_calls'>

/**
 * How a turn goes on: it ends by `stop`, or asks the model again, with `say` as a user message before when it is not
 * null (a heartbeat, say).
 */
export type Continuation = { stop: StopReason } | { stop: null; say: string | null }

/** Turns the deltas of one answer, as the model sends them, into those that mean what the loop's `read` makes of it. */
export interface DeltaFilter {
  pass(event: AgentEvent): AgentEvent[]
  /** The answer is complete: what was held back. */
  end(): AgentEvent[]
}

/**
 * What tells one agent type's turn from another's. One object belongs to one turn and may keep its state; it asks no
 * model, runs no tool and stores nothing. None of its methods throws.
 */
export interface AgentLoop {
  /** What the model is shown in the next step. */
  offer(): Offer
  /** The answer as this loop means it: what is said, what is thought, which calls are to be run, in order. */
  read(answer: Answer): Answer
  /** For the deltas of one step's answer; null when they mean what the model says. */
  deltas(step: OpenStep): DeltaFilter | null
  /** After an answer without a call. */
  afterText(answer: Answer): Continuation
  /** After the calls of an answer were run, refused or denied; the rules do not know of them yet. */
  afterCalls(executed: readonly ExecutedCall[]): Continuation
}

import type { Step } from '../../schema/run.ts'
import type { Clock } from '../ports/actor.ts'

/** How long the parts of one step take, from its making on, in nanoseconds. */
export class StepClock {
  readonly #clock: Clock
  readonly #began: number
  readonly #epoch: number
  #answered: number | null = null
  #tools: number | null = null

  constructor(clock: Clock) {
    this.#clock = clock
    this.#epoch = clock.now().getTime() * 1e6
    this.#began = clock.monotonic()
  }

  /** The model's answer is complete. */
  answered(): void {
    this.#answered = this.#clock.monotonic()
  }

  /** The tools that it called have returned. */
  toolsRun(): void {
    this.#tools = this.#clock.monotonic()
  }

  timing(): NonNullable<Step['timing']> {
    const now = this.#clock.monotonic()
    const answered = this.#answered ?? now
    const ns = (ms: number) => Math.round(ms * 1e6)
    return {
      step_start_ns: this.#epoch,
      llm_request_start_ns: this.#epoch,
      llm_request_ns: ns(answered - this.#began),
      tool_execution_ns: this.#tools === null ? null : ns(this.#tools - answered),
      step_ns: ns(now - this.#began),
    }
  }
}

import type { Agent } from '../../schema/agent.ts'
import { newId } from '../../schema/ids.ts'
import type { StopReason, StoredMessage, UsageStatistics } from '../../schema/message.ts'
import type { Step } from '../../schema/run.ts'
import type { TurnError } from '../events.ts'
import type { Clock } from '../ports/actor.ts'
import type { ModelPrice, ModelUsage, ResolvedModel } from '../ports/models.ts'
import type { FinishRun } from '../ports/turn-store.ts'
import { StepClock } from './step-clock.ts'
import { usageOfSteps } from '../runs/usage.ts'

/** A step that is under way: its model is asked, or its tools run. */
export interface OpenStep {
  id: string
  /** Of the message that the model's answer becomes. */
  message_id: string
  clock: StepClock
  /** What the model has said so far. */
  partial: { text: string }
}

/** The rows that a turn leaves in the store beside its messages: its steps, its usage and its run's outcome. */
export class TurnRecords {
  readonly usage: UsageStatistics
  readonly #agent: Agent
  readonly #run_id: string
  readonly #clock: Clock
  readonly #started: number
  #first_token: number | null = null

  constructor(agent: Agent, run_id: string, clock: Clock) {
    this.#agent = agent
    this.#run_id = run_id
    this.#clock = clock
    this.#started = clock.monotonic()
    this.usage = usageOfSteps(run_id, [])
  }

  openStep(): OpenStep {
    return {
      id: newId('step'),
      message_id: newId('message'),
      clock: new StepClock(this.#clock),
      partial: { text: '' },
    }
  }

  /** The model has begun to answer; only the first time counts. */
  answerBegan(): void {
    this.#first_token ??= this.#clock.monotonic()
  }

  /** Adds one answered model call to the usage of the turn. */
  count(usage: ModelUsage | null): void {
    const add = (a: number | null, b: number | null | undefined) => (b == null ? a : (a ?? 0) + b)
    const total = this.usage
    total.step_count += 1
    total.prompt_tokens += usage?.prompt_tokens ?? 0
    total.completion_tokens += usage?.completion_tokens ?? 0
    total.total_tokens += usage?.total_tokens ?? 0
    total.cached_input_tokens = add(total.cached_input_tokens, usage?.cached_input_tokens)
    total.cache_write_tokens = add(total.cache_write_tokens, usage?.cache_write_tokens)
    total.reasoning_tokens = add(total.reasoning_tokens, usage?.reasoning_tokens)
    total.context_tokens = usage?.total_tokens ?? total.context_tokens
  }

  step(
    open: OpenStep,
    model: ResolvedModel,
    outcome: Pick<Step, 'status' | 'stop_reason'> & { usage: ModelUsage | null; error?: TurnError },
  ): Step {
    const { status, stop_reason, usage, error } = outcome
    const told = error ? { message: error.message, detail: error.detail } : {}
    const skipped = model.skipped?.length ? { fallback_from: [...model.skipped] } : null
    return {
      id: open.id,
      run_id: this.#run_id,
      agent_id: this.#agent.id,
      status,
      stop_reason,
      provider_name: model.info.provider_name ?? null,
      model: model.info.model,
      model_handle: model.handle,
      model_endpoint: model.info.model_endpoint ?? null,
      context_window_limit: this.#agent.llm_config.context_window,
      completion_tokens: usage?.completion_tokens ?? 0,
      prompt_tokens: usage?.prompt_tokens ?? 0,
      total_tokens: usage?.total_tokens ?? 0,
      cached_input_tokens: usage?.cached_input_tokens ?? null,
      cache_write_tokens: usage?.cache_write_tokens ?? null,
      reasoning_tokens: usage?.reasoning_tokens ?? null,
      error_type: error?.type ?? null,
      error_data: error || skipped ? { ...told, ...skipped } : null,
      created_at: this.#clock.now().toISOString(),
      timing: open.clock.timing(),
      ...(model.price && usage ? { cost_usd: costOf(usage, model.price) } : {}),
    }
  }

  finish(status: FinishRun['status'], stop_reason: StopReason, error?: TurnError): FinishRun {
    const elapsed = (from: number) => Math.round((from - this.#started) * 1e6)
    return {
      status,
      stop_reason,
      completed_at: this.#clock.now().toISOString(),
      ttft_ns: this.#first_token === null ? null : elapsed(this.#first_token),
      total_duration_ns: elapsed(this.#clock.monotonic()),
      metadata: error ? { error: { type: error.type, message: error.message, detail: error.detail } } : null,
    }
  }
}

/** In US dollars. Input that came from the provider's cache has a price of its own where it tells one. */
function costOf(usage: ModelUsage, price: ModelPrice): number {
  const cached = usage.cached_input_tokens ?? 0
  return (
    (usage.prompt_tokens - cached) * price.input +
    cached * (price.cached_input ?? price.input) +
    usage.completion_tokens * price.output
  )
}

/** Where the messages of a step belong. */
export type Place = Pick<StoredMessage, 'agent_id' | 'conversation_id' | 'run_id' | 'step_id'>

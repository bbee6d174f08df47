import { AppError, isAppError, messageOf } from '../schema/errors.ts'
import { newId } from '../schema/ids.ts'
import type { MessageCreate } from '../schema/message.ts'
import type { Run } from '../schema/run.ts'
import { EventLog } from './event-log.ts'
import type { AgentEvent, TurnResult } from './events.ts'
import { inputMessage } from './messages.ts'
import type { Actor, CoreDeps } from './ports.ts'
import { runTurn } from './turn.ts'

export interface StartRun {
  agent_id: string
  /** The agent's id for its default conversation. */
  conversation_id: string
  messages: MessageCreate[]
  max_steps: number
  stream_tokens: boolean
  override_model: string | null
  override_system: string | null
  /** Kept with the run for whoever looks at it later. */
  request_config: Record<string, unknown> | null
}

/** A turn that runs in this process, whoever listens. */
export interface ActiveRun {
  run: Run
  /** Everything from `run_start` on, in batches. */
  follow(signal: AbortSignal): AsyncIterable<readonly AgentEvent[]>
  /** Rejects only for a failure of ours (the store); a failed turn is a result. */
  done: Promise<TurnResult>
  cancel(): void
}

/**
 * The turns of this process. A turn belongs to nobody's connection: it runs to its end whether or not anybody reads
 * (reference 6.4), and only `cancel` or `stop` ends it early.
 */
export class ActiveRuns {
  readonly #deps: CoreDeps
  readonly #onFailure: (run_id: string, error: unknown) => void
  readonly #runs = new Map<string, ActiveRun>()

  /** `onFailure` hears of turns that ended by a failure of ours; it must not throw. */
  constructor(deps: CoreDeps, onFailure: (run_id: string, error: unknown) => void) {
    this.#deps = deps
    this.#onFailure = onFailure
  }

  /**
   * Stores the input, takes the conversation and begins. Throws before anything has begun: `not_found`,
   * `conversation_busy`, or what the store says.
   */
  async start(actor: Actor, request: StartRun): Promise<ActiveRun> {
    const now = this.#deps.clock.now()
    const run = newRun(request, now)
    const place = {
      agent_id: request.agent_id,
      conversation_id: request.conversation_id,
      run_id: run.id,
      step_id: null,
    }
    const messages = request.messages.map((message) => inputMessage(message, place, now))
    const opened = await this.#deps.store.turns.open(actor, {
      run,
      conversation_id: request.conversation_id,
      messages,
    })
    const controller = new AbortController()
    const log = new EventLog<AgentEvent>()
    const turn = runTurn({ actor, run, opened, ...request }, this.#deps, { signal: controller.signal })
    const done = this.#drive(run, turn, log)
    const active: ActiveRun = {
      run,
      follow: (signal) => log.follow(signal),
      done,
      cancel: () => controller.abort(new AppError('cancelled', `run ${run.id} was cancelled`)),
    }
    this.#runs.set(run.id, active)
    return active
  }

  /** Null when the run has ended or runs in another process. */
  get(run_id: string): ActiveRun | null {
    return this.#runs.get(run_id) ?? null
  }

  /** The run of this conversation in this process. */
  of(conversation_id: string, agent_id: string): ActiveRun | null {
    for (const active of this.#runs.values()) {
      const { run } = active
      if (run.agent_id === agent_id && (run.conversation_id ?? agent_id) === conversation_id) return active
    }
    return null
  }

  /** Cancels every turn and waits until each is closed on disk. */
  async stop(): Promise<void> {
    const all = [...this.#runs.values()]
    for (const active of all) active.cancel()
    await Promise.allSettled(all.map((active) => active.done))
  }

  async #drive(
    run: Run,
    turn: AsyncGenerator<AgentEvent, TurnResult>,
    log: EventLog<AgentEvent>,
  ): Promise<TurnResult> {
    try {
      for (;;) {
        const next = await turn.next()
        if (next.done) {
          const cause = next.value.error?.cause
          if (cause !== undefined && !isAppError(cause)) this.#onFailure(run.id, cause)
          return next.value
        }
        log.append(next.value)
      }
    } catch (error) {
      this.#onFailure(run.id, error)
      const result = brokenResult(run.id, error)
      log.append({ type: 'run_end', result })
      return result
    } finally {
      log.end()
      this.#runs.delete(run.id)
    }
  }
}

/** The store failed at the end of a turn: nothing more can be saved, and the caller must hear it. */
function brokenResult(run_id: string, error: unknown): TurnResult {
  return {
    run_id,
    status: 'failed',
    stop_reason: 'error',
    usage: {
      message_type: 'usage_statistics',
      completion_tokens: 0,
      prompt_tokens: 0,
      total_tokens: 0,
      step_count: 0,
      run_ids: [run_id],
      cached_input_tokens: null,
      cache_write_tokens: null,
      reasoning_tokens: null,
      context_tokens: null,
    },
    messages: [],
    error: {
      type: 'internal_error',
      message: isAppError(error)
        ? error.message
        : 'the turn could not be saved; the server log has the details',
      detail: isAppError(error) ? error.code : messageOf(error),
      cause: error,
    },
  }
}

function newRun(request: StartRun, now: Date): Run {
  return {
    id: newId('run'),
    agent_id: request.agent_id,
    conversation_id: request.conversation_id === request.agent_id ? null : request.conversation_id,
    status: 'running',
    stop_reason: null,
    background: false,
    created_at: now.toISOString(),
    completed_at: null,
    metadata: null,
    request_config: request.request_config,
    base_template_id: null,
    callback_url: null,
    callback_sent_at: null,
    callback_status_code: null,
    callback_error: null,
    ttft_ns: null,
    total_duration_ns: null,
  }
}

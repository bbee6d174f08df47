import { AppError, isAppError, messageOf } from '../schema/errors.ts'
import { newId } from '../schema/ids.ts'
import type { MessageCreate } from '../schema/message.ts'
import type { Run } from '../schema/run.ts'
import { EventLog } from './event-log.ts'
import type { AgentEvent, TurnResult } from './events.ts'
import { inputMessage } from './messages.ts'
import type { Actor } from './ports/actor.ts'
import type { CoreDeps } from './ports/deps.ts'
import { RecentRuns } from './recent-runs.ts'
import { runTurn } from './turn/turn.ts'

/** How often a process looks whether another one has asked to cancel a turn of its own, in milliseconds. */
const CANCEL_POLL_MS = 400

export interface StartRun {
  agent_id: string
  /** The agent's id for its default conversation. */
  conversation_id: string
  messages: MessageCreate[]
  max_steps: number
  stream_tokens: boolean
  override_model: string | null
  override_system: string | null
  /** Ask for log probabilities, whatever the agent's settings say. */
  logprobs: { top: number | null } | null
  /** Nobody waits for it. */
  background: boolean
  callback_url: string | null
  /** What tells this request from all others but its own repetitions; null when it cannot be repeated. */
  fingerprint: string | null
  /** Kept with the run for whoever looks at it later. */
  request_config: Record<string, unknown> | null
}

/** A turn that runs in this process, whoever listens. */
export interface ActiveRun {
  run: Run
  /** Everything from `run_start` on, in batches. */
  follow(signal: AbortSignal): AsyncIterable<readonly AgentEvent[]>
  /** How many events there have been. */
  events(): number
  /** Never rejects: a failed turn, also by a failure of ours (the store), is a result. */
  done: Promise<TurnResult>
  cancel(): void
}

/**
 * The turns of this process. A turn belongs to nobody's connection: it runs to its end whether or not anybody reads
 * (reference 6.4), and only `cancel` or `stop` ends it early.
 */
export class ActiveRuns {
  readonly #deps: CoreDeps
  readonly #onFailure: (where: string, error: unknown) => void
  readonly #runs = new Map<string, ActiveRun>()
  readonly #recent: RecentRuns
  #polling: ReturnType<typeof setInterval> | null = null
  readonly #starting = new Set<Promise<ActiveRun>>()
  #stopping = false

  /** `onFailure` hears of turns that ended by a failure of ours; it must not throw. */
  constructor(deps: CoreDeps, onFailure: (where: string, error: unknown) => void) {
    this.#deps = deps
    this.#onFailure = onFailure
    this.#recent = new RecentRuns(deps.clock)
  }

  /**
   * Stores the input, takes the conversation and begins. Throws before anything has begun: `not_found`,
   * `conversation_busy`, `store_unavailable` while this process stops, or what the store says.
   */
  start(actor: Actor, request: StartRun): Promise<ActiveRun> {
    const started = this.#start(actor, request)
    this.#starting.add(started)
    const forget = () => void this.#starting.delete(started)
    started.then(forget, forget)
    return started
  }

  /** The run that an equal request began here, while it runs and for some minutes afterwards. */
  join(fingerprint: string): ActiveRun | null {
    return this.#recent.find(fingerprint)
  }

  /** The answer of the run that this request began has reached its client. */
  delivered(fingerprint: string): void {
    this.#recent.delivered(fingerprint)
  }

  async #start(actor: Actor, request: StartRun): Promise<ActiveRun> {
    if (this.#stopping)
      throw new AppError(
        'store_unavailable',
        'this server is shutting down; send the message again in a moment',
      )
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
      events: () => log.length,
      done,
      cancel: () => controller.abort(new AppError('cancelled', `run ${run.id} was cancelled`)),
    }
    this.#runs.set(run.id, active)
    if (request.fingerprint !== null) this.#recent.add(request.fingerprint, active)
    this.#polling ??= setInterval(() => void this.#obeyOthers(), CANCEL_POLL_MS)
    return active
  }

  /** Null when the run has ended or runs in another process. */
  get(run_id: string): ActiveRun | null {
    return this.#runs.get(run_id) ?? null
  }

  /** The agent was deleted: its turns here have nothing left to say. Those of other processes find out by themselves. */
  agentDeleted(agent_id: string): void {
    for (const active of this.#runs.values()) if (active.run.agent_id === agent_id) active.cancel()
  }

  /**
   * Begins no more turns, gives those that run this many milliseconds to end by themselves, cancels the rest, and waits
   * until each is closed on disk.
   */
  async stop(grace_ms = 0): Promise<void> {
    this.#stopping = true
    await Promise.allSettled(this.#starting)
    const ended = () => Promise.allSettled([...this.#runs.values()].map((active) => active.done))
    if (grace_ms > 0 && this.#runs.size > 0) {
      let timer: ReturnType<typeof setTimeout> | undefined
      const grace = new Promise((resolve) => {
        timer = setTimeout(resolve, grace_ms)
      })
      await Promise.race([ended(), grace])
      clearTimeout(timer)
    }
    for (const active of this.#runs.values()) active.cancel()
    await ended()
  }

  /** Cancels the turns that other processes on this store were asked to cancel. */
  async #obeyOthers(): Promise<void> {
    try {
      for (const run_id of await this.#deps.store.turns.cancelRequests()) this.#runs.get(run_id)?.cancel()
    } catch (error) {
      this.#onFailure('looking for turns to cancel', error)
    }
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
          if (cause !== undefined && !isAppError(cause)) this.#onFailure(`run ${run.id}`, cause)
          return next.value
        }
        log.append(next.value)
      }
    } catch (error) {
      this.#onFailure(`run ${run.id}`, error)
      const result = brokenResult(run.id, error)
      log.append({ type: 'run_end', result })
      return result
    } finally {
      log.end()
      this.#runs.delete(run.id)
      if (this.#runs.size === 0 && this.#polling) {
        clearInterval(this.#polling)
        this.#polling = null
      }
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
    logprobs: null,
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
    background: request.background,
    created_at: now.toISOString(),
    completed_at: null,
    metadata: null,
    request_config: request.request_config,
    base_template_id: null,
    callback_url: request.callback_url,
    callback_sent_at: null,
    callback_status_code: null,
    callback_error: null,
    ttft_ns: null,
    total_duration_ns: null,
  }
}

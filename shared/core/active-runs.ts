import { AppError, isAppError } from '../schema/errors.ts'
import type { Agent } from '../schema/agent.ts'
import type { StoredMessage } from '../schema/message.ts'
import type { Run } from '../schema/run.ts'
import { EventLog } from './event-log.ts'
import type { AgentEvent, TurnResult } from './events.ts'
import type { Actor } from './ports/actor.ts'
import type { CoreDeps } from './ports/deps.ts'
import type { Store } from './ports/store.ts'
import type { AgentMessaging } from './ports/tools.ts'
import type { TakenOver, TurnStore } from './ports/turn-store.ts'
import { RecentRuns } from './recent-runs.ts'
import { readInput } from './turn/approvals.ts'
import type { ActiveRun, StartRun } from './runs/active-run.ts'
import { EarlyCommits } from './runs/early-commits.ts'
import { type FollowOptions, followRun, type StreamPart } from './runs/follow.ts'
import { type ChunkEncoder, MAX_ATTEMPTS, RESUME_GAP, RunRecording } from './runs/recording.ts'
import { brokenResult, newRun } from './runs/new-run.ts'
import { causeOf, runError } from './runs/run-error.ts'
import { type JoinedRun, runElsewhere } from './runs/run-elsewhere.ts'
import { usageOfSteps } from './runs/usage.ts'
import { AgentMessages, type MessagingLimits, type TurnsForAgents } from './teams/agent-messages.ts'
import { type AgentChain, newChain } from './teams/chain.ts'
import { Companions, withCompanions } from './teams/sleeptime.ts'
import { runTurn, TurnLeft } from './turn/turn.ts'
import type { TurnInput } from './turn/turn-input.ts'

/** How often a process looks whether another one has asked to cancel a turn of its own, in milliseconds. */
const CANCEL_POLL_MS = 400
/** Providers whose models live in one process and are never asked by another. */
const BOUND_PROVIDERS = ['vscode']
/** Steps, and messages, of a resumed run that its result counts. */
const MAX_STEPS_READ = 1000
/** Model calls of a turn that another agent asks for. */
const MAX_STEPS = 50

export interface ActiveRunsOptions extends MessagingLimits {
  /** Background runs that this process leaves behind are gone on with by others. */
  resume: boolean
  /** Chunks that are stored of one run. */
  max_chunks: number
  /** Makes the streams of runs that are recorded though no client asked for them; without it they are not recorded. */
  loadEncoder: (() => Promise<EncoderOf>) | null
}

/** The encoder of a run's stream, from what was stored of the request that began it. */
export type EncoderOf = (run_id: string, wire: Record<string, unknown>) => ChunkEncoder

const DEFAULTS: ActiveRunsOptions = {
  resume: true,
  max_chunks: 100_000,
  loadEncoder: null,
  busy_ms: 60_000,
  reply_ms: 20 * 60_000,
}

/**
 * The turns of this process. A turn belongs to nobody's connection: it runs to its end whether or not anybody reads
 * (reference 6.4), and only `cancel` or `stop` ends it early.
 */
export class ActiveRuns {
  readonly #deps: CoreDeps
  readonly #onFailure: (where: string, error: unknown) => void
  readonly #options: ActiveRunsOptions
  readonly #runs = new Map<string, ActiveRun>()
  readonly #recent: RecentRuns
  #polling: ReturnType<typeof setInterval> | null = null
  readonly #starting = new Set<Promise<ActiveRun>>()
  readonly #messages: AgentMessages
  readonly #companions: Companions
  /** Of those, the ones that may be asked for again, by their requests. */
  readonly #beginning = new Map<string, Promise<ActiveRun>>()
  #stopping = false

  /** `onFailure` hears of turns that ended by a failure of ours; it must not throw. */
  constructor(
    deps: CoreDeps,
    onFailure: (where: string, error: unknown) => void,
    options: Partial<ActiveRunsOptions> = {},
  ) {
    this.#deps = deps
    this.#onFailure = onFailure
    this.#options = { ...DEFAULTS, ...options }
    this.#recent = new RecentRuns(deps.clock)
    const turns: TurnsForAgents = {
      begin: this.#beginForAgent,
      ended: (run_id) => this.#runs.get(run_id)?.done ?? null,
    }
    this.#messages = new AgentMessages(deps, turns, this.#options)
    this.#companions = new Companions(deps, turns, onFailure)
  }

  /**
   * Stores the input, takes the conversation and begins. Throws before anything has begun: `not_found`,
   * `conversation_busy`, `already_started`, `store_unavailable` while this process stops, or what the store says.
   */
  start(actor: Actor, request: StartRun): Promise<ActiveRun> {
    const started = this.#start(actor, request)
    this.#starting.add(started)
    const { fingerprint } = request
    const first = fingerprint !== null && !this.#beginning.has(fingerprint)
    if (first) this.#beginning.set(fingerprint, started)
    const forget = () => {
      this.#starting.delete(started)
      if (first) this.#beginning.delete(fingerprint)
    }
    started.then(forget, forget)
    return started
  }

  /** The run that an equal request began here, or is just beginning, while it runs and for some minutes afterwards. */
  async join(fingerprint: string): Promise<ActiveRun | null> {
    // One that fails to begin tells whoever asked for it.
    await this.#beginning.get(fingerprint)?.catch(() => null)
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
    const { messages, follow_ups, approval } = await readInput(this.#deps, actor, request.messages, place)
    const { recording = null } = request
    const resumable = recording !== null && this.#options.resume
    const opened = await this.#deps.store.turns.open(actor, {
      run,
      conversation_id: request.conversation_id,
      messages,
      ...(approval === null ? {} : { approval }),
      recorded: recording !== null,
      ...(request.otids ? { otids: request.otids } : {}),
      ...(request.fingerprint !== null && request.repeats
        ? { request: { key: request.fingerprint, ...request.repeats } }
        : {}),
      ...(request.edit ? { edit: request.edit } : {}),
      ...(request.signal ? { signal: request.signal } : {}),
      ...(resumable ? { resume: toResume(actor, request, recording.wire, follow_ups) } : {}),
      early: recording === null,
    })
    const active = this.#run(
      actor,
      { ...request, run, opened, follow_ups },
      recording && { encoder: recording.encoder(run.id), first_seq: 1 },
      { leaves: resumable },
    )
    // The model is asked while the input is flushed to disk; nobody hears of the run before it is there.
    try {
      await opened.durable
    } catch (error) {
      active.fail(error)
      await active.done
      throw error
    }
    if (request.fingerprint !== null) this.#recent.add(request.fingerprint, active)
    return active
  }

  /**
   * Goes on with a run whose process is gone, from its last committed step. Null when it needs nobody (any more); throws
   * what the store says.
   */
  async resume(run_id: string, encoderOf: EncoderOf): Promise<ActiveRun | null> {
    if (this.#stopping) return null
    const taken = await this.#deps.store.turns.takeOver(run_id, { max_attempts: MAX_ATTEMPTS })
    if (!taken) return null
    const { run, opened, conversation_id } = taken
    const { user_id, request, wire, follow_ups } = taken.resume as unknown as Resume
    const actor = { user_id, organization_id: taken.organization_id }
    const handle = request.override_model ?? opened.agent.model ?? ''
    if (BOUND_PROVIDERS.includes(handle.slice(0, handle.indexOf('/')))) {
      await this.#giveUp(actor, taken, handle)
      return null
    }
    const max_steps = Math.max(1, request.max_steps - taken.steps)
    const input = { ...request, run, opened, conversation_id, max_steps, follow_ups }
    const recording = {
      encoder: encoderOf(run.id, wire),
      // Each process before may have sent more than it stored.
      first_seq: taken.last_seq + RESUME_GAP * taken.attempt + 1,
    }
    const { cancel_requested: cancelled } = taken
    return this.#run(actor, input, recording, { resumed: true, cancelled, leaves: true })
  }

  /** Messages to other agents from a tool of this agent that runs outside of a turn. */
  messagingOf(actor: Actor, agent: Pick<Agent, 'id' | 'name'>): AgentMessaging {
    return this.#messages.of({ actor, agent, conversation_id: agent.id, chain: newChain() })
  }

  /** A recorded run's stream, here or elsewhere: see `followRun`. */
  followRecorded(actor: Actor, run_id: string, options: FollowOptions): AsyncGenerator<StreamPart> {
    const recordingOf = (id: string) => this.#runs.get(id)?.recording ?? null
    return followRun(this.#deps.store, recordingOf, actor, run_id, options)
  }

  /**
   * A run that another process has, or that has ended, as who joins it sees it. It is followed until it ends, `signal`
   * aborts, or this process closes.
   */
  elsewhere(
    actor: Actor,
    run: Run,
    { signal, closing }: Pick<FollowOptions, 'signal' | 'closing'>,
  ): JoinedRun {
    const parts = this.followRecorded(actor, run.id, { after: 0, batch_size: 0, signal, closing })
    return runElsewhere(actor, run, parts, (ended) => this.endOf(actor, ended))
  }

  /** Begins a turn that another turn asks for; one that nobody waits for outlives this process. */
  readonly #beginForAgent: TurnsForAgents['begin'] = async (
    actor,
    { agent_id, message, background, chain },
  ) => {
    const { loadEncoder } = this.#options
    const encoderOf = background && loadEncoder ? await loadEncoder() : null
    const active = await this.start(actor, {
      agent_id,
      conversation_id: agent_id,
      messages: [message],
      client_tools: [],
      client_skills: [],
      max_steps: MAX_STEPS,
      stream_tokens: false,
      override_model: null,
      override_system: null,
      logprobs: null,
      background,
      recording: encoderOf && { encoder: (run_id) => encoderOf(run_id, {}), wire: {} },
      callback_url: null,
      fingerprint: null,
      request_config: null,
      chain,
    })
    return { run_id: active.run.id, done: active.done, cancel: () => active.cancel() }
  }

  /** Starts the turn of a run that this process holds. */
  #run(
    actor: Actor,
    input: Omit<TurnInput, 'actor' | 'messaging'> & { chain?: AgentChain },
    recorded: { encoder: ChunkEncoder; first_seq: number } | null,
    { resumed = false, cancelled = false, leaves = false } = {},
  ): ActiveRun {
    const { run, conversation_id, opened } = input
    const { store } = this.#deps
    const recording = recorded
      ? new RunRecording(
          {
            ...recorded,
            actor,
            run_id: run.id,
            conversation_id,
            epoch: opened.epoch,
            max_chunks: this.#options.max_chunks,
            onFailure: this.#onFailure,
          },
          store,
        )
      : null
    const controller = new AbortController()
    const cancel = () => controller.abort(new AppError('cancelled', `run ${run.id} was cancelled`))
    if (cancelled) cancel()
    const log = new EventLog<AgentEvent>(joinDeltas)
    const fail = (error: unknown) => controller.abort(error)
    const early = new EarlyCommits((event) => log.append(event), fail)
    const seen = recording ? recordedStore(store, recording) : early.storeOf(store)
    const deps = { ...this.#deps, store: seen }
    const { agent } = opened
    const chain = input.chain ?? newChain()
    const messaging = this.#messages.of({ actor, agent, conversation_id, chain })
    const alone = runTurn({ ...input, actor, messaging }, deps, { signal: controller.signal, leaves })
    const wake = (result: TurnResult) => this.#companions.wake({ actor, agent, chain, result })
    const turn = agent.enable_sleeptime ? withCompanions(alone, wake) : alone
    const whole = resumed ? (result: TurnResult) => this.#wholeResult(actor, result) : null
    const over = () => {
      // This process may have lost the run and taken it again since: then it is another turn's.
      if (this.#runs.get(run.id) === active) this.#runs.delete(run.id)
    }
    const leave = () => {
      recording?.leave()
      store.turns.leave(run.id, opened.epoch)
    }
    let standstills = store.turns.standstills()
    let lost = false
    const isOurs = async () => {
      const now = store.turns.standstills()
      if (lost || now === standstills) return !lost
      try {
        await store.turns.checkLease(actor, { conversation_id, run_id: run.id, epoch: opened.epoch })
        standstills = now
        return true
      } catch (error) {
        // What cannot be looked up is found out when the step is stored.
        if (!isAppError(error, 'lease_lost')) return true
        lost = true
        fail(error)
        return false
      }
    }
    const drive = () => this.#drive(run, turn, { log, early, recording, whole, isOurs, leave, over })
    const model = input.override_model ?? agent.model
    const seenTurn = { actor, run_id: run.id, conversation_id, agent, model }
    const done = this.#deps.observer?.turn(seenTurn, drive) ?? drive()
    const active: ActiveRun = {
      run,
      actor,
      recording,
      handedOver: () => recording?.handedOver ?? false,
      follow: (signal) => log.follow(signal),
      events: () => log.length,
      done,
      cancel,
      fail,
    }
    this.#runs.set(run.id, active)
    this.#polling ??= setInterval(() => void this.#obeyOthers(), CANCEL_POLL_MS)
    return active
  }

  /** How a run of any process ended, as far as the store tells it; null while it has not. */
  async endOf(actor: Actor, run: Run): Promise<TurnResult | null> {
    if (run.status === 'created' || run.status === 'running') return null
    const error = runError(run)
    return this.#wholeResult(actor, {
      run_id: run.id,
      status: run.status,
      stop_reason: run.stop_reason ?? 'error',
      usage: usageOfSteps(run.id, []),
      messages: [],
      logprobs: null,
      ...(error ? { error: { ...error, cause: causeOf(run.id, error) } } : {}),
    })
  }

  /** A resumed turn knows its own part only; what the run did before is in the store. */
  async #wholeResult(actor: Actor, result: TurnResult): Promise<TurnResult> {
    const { turns, messages } = this.#deps.store
    const { run_id } = result
    const page = { limit: MAX_STEPS_READ, order: 'asc' as const }
    const [steps, stored] = await Promise.all([
      turns.listSteps(actor, { run_id }, page),
      messages.list(actor, { run_id, roles: ['assistant', 'tool', 'approval'] }, page),
    ])
    const usage = { ...usageOfSteps(run_id, steps), run_ids: result.usage.run_ids }
    // What the client has decided was the input.
    return { ...result, usage, messages: stored.filter(({ approval }) => !approval) }
  }

  /** Its model lived in the process that is gone. */
  async #giveUp(actor: Actor, taken: TakenOver, handle: string): Promise<void> {
    const { run, opened, conversation_id } = taken
    const message = `The model ${handle} belonged to a process that is gone, so this turn could not go on.`
    await this.#deps.store.turns.commit(actor, {
      agent_id: run.agent_id,
      conversation_id,
      run_id: run.id,
      epoch: opened.epoch,
      step: null,
      messages: [],
      block_edits: [],
      finish: {
        status: 'failed',
        stop_reason: 'error',
        completed_at: this.#deps.clock.now().toISOString(),
        ttft_ns: null,
        total_duration_ns: Math.max(0, this.#deps.clock.now().getTime() - Date.parse(run.created_at)) * 1e6,
        metadata: { error: { type: 'internal_error', message, detail: 'interrupted' } },
      },
    })
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
    const end = performance.now() + grace_ms
    await Promise.allSettled(this.#starting)
    // What waits for an answer of another day is not waited for here.
    const { provider_batches } = this.#deps
    await provider_batches?.close()
    for (const active of this.#runs.values())
      if (provider_batches?.waits(active.run.id)) await this.#leave(active)
    const ended = () => Promise.allSettled([...this.#runs.values()].map((active) => active.done))
    const left_ms = end - performance.now()
    if (left_ms > 0 && this.#runs.size > 0) {
      let timer: ReturnType<typeof setTimeout> | undefined
      const grace = new Promise((resolve) => {
        timer = setTimeout(resolve, left_ms)
      })
      await Promise.race([ended(), grace])
      clearTimeout(timer)
    }
    await Promise.all([...this.#runs.values()].map((active) => this.#leave(active)))
    await ended()
  }

  /** The next process goes on with it: nothing of it is lost but the step under way. */
  async #leave(active: ActiveRun): Promise<void> {
    if (this.#options.resume) await active.recording?.handOver()
    active.cancel()
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
    { log, early, recording, whole, isOurs, leave, over }: Listeners,
  ): Promise<TurnResult> {
    try {
      for (;;) {
        const next = await turn.next()
        if (next.done) {
          await early.settled()
          const cause = next.value.error?.cause
          if (cause !== undefined && !isAppError(cause)) this.#onFailure(`run ${run.id}`, cause)
          return whole ? await whole(next.value) : next.value
        }
        // Of what is not stored nothing is told that another process may be telling in its own way.
        if (!isStored(next.value) && !(await isOurs())) continue
        if (recording) await recording.add(next.value)
        else early.add(next.value)
      }
    } catch (thrown) {
      const error = thrown instanceof TurnLeft ? thrown.cause : thrown
      if (thrown instanceof TurnLeft) leave()
      this.#onFailure(`run ${run.id}`, error)
      const result = brokenResult(run.id, error)
      if (!recording) log.append({ type: 'run_end', result })
      return result
    } finally {
      log.end()
      // Before its readers look for it elsewhere.
      over()
      recording?.end()
      if (this.#runs.size === 0 && this.#polling) {
        clearInterval(this.#polling)
        this.#polling = null
      }
    }
  }
}

interface Listeners {
  log: EventLog<AgentEvent>
  early: EarlyCommits
  recording: RunRecording | null
  whole: ((result: TurnResult) => Promise<TurnResult>) | null
  /** Whether the run is still this process's, as far as it knows; looked up after it stood still. */
  isOurs: () => Promise<boolean>
  /** Gives the run up, for whoever can go on with it. */
  leave: () => void
  /** Takes the turn from the list of those that run here. */
  over: () => void
}

/** What is kept of a request so that another process can go on with its run. */
interface Resume {
  user_id: string
  request: Omit<StartRun, Kept>
  wire: Record<string, unknown>
  follow_ups: StoredMessage[]
}
type Kept = 'messages' | 'fingerprint' | 'repeats' | 'signal' | 'recording' | 'otids'

function toResume(
  actor: Actor,
  start: StartRun,
  wire: Record<string, unknown>,
  follow_ups: StoredMessage[],
): Record<string, unknown> {
  const {
    messages: _m,
    fingerprint: _f,
    repeats: _a,
    signal: _s,
    recording: _r,
    otids: _o,
    ...request
  } = start
  const resume: Resume = { user_id: actor.user_id, request, wire, follow_ups }
  return { ...resume }
}

/** Whether what an event tells of is in the store, so that it is so whoever has the run. */
function isStored({ type }: AgentEvent): boolean {
  return type === 'run_start' || type === 'message' || type === 'step_end' || type === 'run_end'
}

/** The store as the turn of a recorded run sees it: what it commits takes its part of the stream along. */
function recordedStore(store: Store, recording: RunRecording): Store {
  const turns: TurnStore = Object.create(store.turns) as TurnStore
  turns.commit = (actor, step) => recording.commit(actor, step)
  return { ...store, turns }
}

/** Two deltas of one part in one, so that what nobody reads takes no more memory than the answer itself. */
function joinDeltas(a: AgentEvent, b: AgentEvent): AgentEvent | null {
  if (a.type !== b.type || !('message_id' in a) || !('message_id' in b) || a.message_id !== b.message_id)
    return null
  if (a.type === 'text_delta' && b.type === 'text_delta') return { ...a, text: a.text + b.text }
  if (a.type === 'reasoning_delta' && b.type === 'reasoning_delta' && a.is_native === b.is_native)
    return { ...a, text: a.text + b.text }
  return null
}

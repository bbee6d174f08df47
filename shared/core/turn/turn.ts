import type { Agent } from '../../schema/agent.ts'
import type { CompactionTrigger } from '../../schema/compaction.ts'
import { type AppError, isAppError } from '../../schema/errors.ts'
import type {
  ContentPart,
  Logprobs,
  StoredApproval,
  StopReason,
  StoredMessage,
  StoredToolCall,
} from '../../schema/message.ts'
import type { Step } from '../../schema/run.ts'
import { TurnWindow } from '../context/turn-window.ts'
import type { AgentEvent, TurnResult } from '../events.ts'
import { withFallbacks } from '../fallback-model.ts'
import { inputMessage } from '../messages.ts'
import type { ToolWall } from '../ports/custom-tools.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { ModelRequest, ResolvedModel } from '../ports/models.ts'
import { missingReturns, type OpenCalls, openCalls } from '../ports/open-calls.ts'
import type { AgentLoop, Continuation } from './agent-loop.ts'
import type { Answer } from './answer.ts'
import { ask, type Exchange, modelRequest } from './ask.ts'
import { approvalRequest } from './approvals.ts'
import { loopOf } from './loop-of.ts'
import { orAbort } from './or-abort.ts'
import { pastCalls } from './past-calls.ts'
import type { OpenStep } from './records.ts'
import { tellWhile } from './tell-while.ts'
import { type ExecutedCall, parseArguments, runToolCalls, type ToolCallScope } from './tool-calls.ts'
import { StepWriter } from './step-writer.ts'
import { turnContext } from './turn-context.ts'
import type { TurnInput } from './turn-input.ts'
import { guardReason, type TurnTools, turnTools, wallOf } from './turn-tools.ts'
import { describeError, notStored, refuseNothing, statusOf, stopReasonOf } from './turn-end.ts'

/** How often a request may be sent again with a shorter conversation because the provider calls it too long. */
const MAX_OVERFLOWS = 3

/**
 * One turn of an agent whose input is already stored: ask the model, run the tools it calls, commit the step,
 * repeat. Read to the end it commits or closes the run exactly once. Expected failures (the model, an abort, a
 * lost lease) end in a `run_end` with a reason; only a failing store throws. With `leaves` another process, or this one
 * again, goes on with a run whose step could not be stored: then it is not closed, and a `TurnLeft` is thrown.
 */
export async function* runTurn(
  input: TurnInput,
  deps: CoreDeps,
  options: { signal: AbortSignal; leaves?: boolean },
): AsyncGenerator<AgentEvent, TurnResult> {
  const turn = new Turn(input, deps, await wallOf(input.opened.agent, deps), options.signal)
  yield { type: 'run_start', run: input.run }
  let result: TurnResult
  try {
    const stop_reason = yield* turn.steps()
    result = turn.result(statusOf(stop_reason), stop_reason)
  } catch (error) {
    if (options.leaves && turn.isUnstored(error)) throw new TurnLeft(error)
    result = yield* turn.close(error)
  }
  yield { type: 'run_end', result }
  return result
}

/** The store is away: nothing of the run is ended, and nothing of the step under way is kept. `cause` says why. */
export class TurnLeft extends Error {
  override readonly cause: AppError

  constructor(cause: AppError) {
    super(cause.message)
    this.cause = cause
  }
}

class Turn {
  readonly #input: TurnInput
  readonly #deps: CoreDeps
  readonly #signal: AbortSignal
  readonly #agent: Agent
  readonly #writer: StepWriter
  readonly #produced: StoredMessage[] = []
  #model: ResolvedModel | null = null
  #logprobs: Logprobs | null = null
  /** The step that is under way. */
  #step: OpenStep | null = null
  readonly #tools: TurnTools
  readonly #loop: AgentLoop
  /** Calls of the turn before that were decided about and have no return yet. */
  #decided: OpenCalls | null

  constructor(input: TurnInput, deps: CoreDeps, wall: ToolWall | null, signal: AbortSignal) {
    this.#input = input
    this.#deps = deps
    this.#signal = signal
    this.#agent = input.opened.agent
    this.#tools = turnTools(this.#agent, input.client_tools, wall)
    this.#writer = new StepWriter(input, this.#tools, deps, signal)
    for (const call of pastCalls(input.opened.context, input.run.id)) this.#tools.rules.record(call)
    this.#loop = loopOf(this.#agent, this.#tools, deps.clock)
    const open = openCalls(input.opened.context)
    this.#decided = open?.decisions ? open : null
  }

  /** The loop. Returns once the step that ends the run is committed. */
  async *steps(): AsyncGenerator<AgentEvent, StopReason> {
    const handle = this.#input.override_model ?? this.#agent.model ?? 'letta/auto'
    const { models } = this.#deps
    const { actor } = this.#input
    const chosen = await this.#orAbort(models.resolve(actor, handle))
    const asked = withFallbacks(chosen, this.#agent.model_settings?.fallback_models ?? [], models, actor)
    const { batch_item_id: item_id = null, run } = this.#input
    const batched = item_id === null ? null : { actor, run_id: run.id, item_id }
    const model =
      (batched && this.#deps.provider_batches?.modelFor(asked, chosen.batch_calls, batched)) ?? asked
    this.#model = model
    this.#buildContext(model)
    if (this.#decided) {
      const stop = yield* this.#afterStep(yield* this.#carryOut(this.#decided))
      if (stop) return stop
    } else await this.#commitFollowUps()
    if (this.#hasAnswered()) {
      // Another process died between the answer and the end of the run: only its context was to be made shorter.
      this.#writer.unfinished = true
      return (yield* this.#afterStep('end_turn')) ?? 'end_turn'
    }
    for (let n = 1; ; n++) {
      this.#signal.throwIfAborted()
      const last = n >= this.#input.max_steps
      const step = (this.#step = this.#writer.records.openStep())
      yield { type: 'step_start', step_id: step.id, message_id: step.message_id }
      const exchange = yield* this.#ask(model, step)
      const answer = this.#loop.read(exchange.answer)
      const stop = yield* this.#afterStep(yield* this.#follow(model, step, answer, last))
      if (stop) return stop
    }
  }

  result(status: TurnResult['status'], stop_reason: StopReason): TurnResult {
    return {
      run_id: this.#input.run.id,
      status,
      stop_reason,
      usage: this.#writer.records.usage,
      messages: this.#produced,
      logprobs: this.#logprobs,
    }
  }

  /** Whether a turn ended by this because its store could not be used, and by nothing else. */
  isUnstored(error: unknown): error is AppError {
    return isAppError(error, 'store_unavailable') && !this.#signal.aborted
  }

  /** The turn stopped before its end: what the user saw stays, the run is closed, the conversation is free. */
  async *close(thrown: unknown): AsyncGenerator<AgentEvent, TurnResult> {
    const unstored = this.isUnstored(thrown)
    const { aborted, reason: why } = this.#signal
    const lost = aborted && isAppError(why, 'lease_lost')
    const error = unstored ? notStored(thrown, this.#input.run.id) : lost ? why : thrown
    // An abort may also say that what was stored has not reached the disk.
    const cancelled = aborted && (!isAppError(why) || isAppError(why, 'cancelled'))
    const status = cancelled ? 'cancelled' : 'failed'
    const reason: StopReason = cancelled ? 'cancelled' : stopReasonOf(error)
    const result = this.result(status, reason)
    if (!cancelled) result.error = describeError(error)
    if (isAppError(error, 'lease_lost')) return result
    const messages: StoredMessage[] = []
    let row: Step | null = null
    const step = this.#step
    if (step && this.#model) {
      const said: ContentPart[] = [{ type: 'text', text: step.partial.text }]
      if (step.partial.text !== '') messages.push(this.#writer.assistant(this.#model, step, said, []))
      const failure = result.error ? { error: result.error } : {}
      row = this.#writer.records.step(step, this.#model, {
        status,
        stop_reason: reason,
        usage: null,
        ...failure,
      })
    }
    if (this.#decided) messages.push(...this.#abandon())
    try {
      await this.#writer.commit({
        step: row,
        messages,
        keep_edits: false,
        // Input that is too long for any model must not stand in the way of what is said next.
        ...(isAppError(error, 'llm_context_window') ? { drop: this.#unansweredIds() } : {}),
        finish: this.#writer.records.finish(status, reason, result.error),
        // What failed has waited for the store.
        hurried: unstored,
      })
    } catch (failure) {
      // Whoever took the conversation over has closed this run already.
      if (isAppError(failure, 'lease_lost')) return result
      throw unstored ? error : failure
    }
    for (const message of messages.filter(isOurs)) {
      this.#produced.push(message)
      if (!this.#input.stream_tokens || message.role === 'tool') yield { type: 'message', message }
    }
    return result
  }

  // ---- asking ------------------------------------------------------------------------------------------------

  #buildContext(model: ResolvedModel): void {
    const { messages, system } = turnContext(this.#input.opened, {
      view: this.#writer.view(),
      conversation_id: this.#input.conversation_id,
      override_system: this.#input.override_system,
      client_skills: this.#input.client_skills,
      now: this.#deps.clock.now(),
    })
    this.#writer.system = system
    this.#writer.window = new TurnWindow(
      {
        actor: this.#input.actor,
        run_id: this.#input.run.id,
        conversation_id: this.#input.conversation_id,
        opened: this.#input.opened,
        model,
        view: this.#writer.view(),
        tools: this.#loop.offer().tools,
        messages,
        system,
        override_system: this.#input.override_system,
      },
      this.#deps,
    )
  }

  /** Asks the model, again when its provider calls the conversation too long and it could be made shorter. */
  async *#ask(model: ResolvedModel, step: OpenStep): AsyncGenerator<AgentEvent, Exchange> {
    const window = this.#writer.window
    const isOver = (attempt: number) =>
      window && (attempt === 0 ? window.tokens > window.size : window.isTooLong)
    for (let attempt = 0; attempt < MAX_OVERFLOWS && isOver(attempt); attempt++)
      if (!(yield* this.#compact('context_window_exceeded', attempt, step.id))) break
    // An endpoint that cuts what is too long would lose the system message, and tell nobody.
    if (window?.isTooLong) throw window.overflow()
    for (let attempt = 0; ; attempt++) {
      const request = this.#request()
      this.#writer.asked(model, request)
      try {
        const exchange = yield* ask(model.language_model, request, step, this.#writer.records, {
          signal: this.#signal,
          stream: this.#input.stream_tokens,
          waits: (name) => this.#waits(name),
          filter: this.#loop.deltas(step),
        })
        this.#writer.heard(model, exchange.answer)
        this.#logprobs = exchange.answer.logprobs
        return exchange
      } catch (error) {
        if (!window || !isAppError(error, 'llm_context_window')) throw error
        window.refused(error)
        const shorter =
          attempt < MAX_OVERFLOWS && (yield* this.#compact('context_window_exceeded', attempt, step.id))
        if (!shorter) throw window.overflow(error)
      }
    }
  }

  /** Whether the context of a run that is gone on with ends with its own answer in words. */
  #hasAnswered(): boolean {
    const { opened, run, follow_ups } = this.#input
    const last = opened.context.at(-1)
    return (
      opened.added === 0 &&
      follow_ups.length === 0 &&
      last?.role === 'assistant' &&
      last.run_id === run.id &&
      last.tool_calls.length === 0
    )
  }

  #request(): ModelRequest {
    const messages = this.#writer.window?.messages ?? []
    return modelRequest(this.#agent, messages, this.#loop.offer(), this.#input.logprobs)
  }

  // ---- the context window ------------------------------------------------------------------------------------

  /**
   * Between a committed step and the next request: makes a full context shorter. Answers the reason to stop; the run is
   * closed then.
   */
  async *#afterStep(stop: StopReason | null): AsyncGenerator<AgentEvent, StopReason | null> {
    const window = this.#writer.window
    if (!window || (stop !== null && !this.#writer.unfinished)) return stop
    if (!this.#writer.unfinished && !window.isFull()) return null
    const end = () => (window.isStuck ? 'context_window_overflow_in_system_prompt' : stop)
    this.#writer.unfinished = false
    const done = yield* this.#compact('post_step_context_check', 0, null, end)
    const reason = end()
    if (!done && reason)
      await this.#writer.commit({ step: null, messages: [], ...this.#writer.finishing(reason) })
    return reason
  }

  /** Makes the context shorter and stores it so. False when there is nothing that could go. */
  async *#compact(
    trigger: CompactionTrigger,
    attempt: number,
    step_id: string | null,
    end: () => StopReason | null = () => null,
  ): AsyncGenerator<AgentEvent, boolean> {
    const blocks = this.#writer.memory.forCall().blocks
    const how = { trigger, attempt, step_id, blocks, request: this.#request() }
    const window = this.#writer.window
    const part = window && !window.isStuck ? yield* window.compact(how, { signal: this.#signal }) : null
    if (!part) return false
    const { system, ...rest } = part
    if (system) this.#writer.system = system
    const reason = end()
    await this.#writer.commit({
      step: null,
      messages: [],
      ...rest,
      ...(reason ? this.#writer.finishing(reason) : {}),
    })
    const { summary } = part.compaction
    this.#produced.push(summary)
    yield { type: 'message', message: summary }
    return true
  }

  #unansweredIds(): string[] {
    const run_id = this.#input.run.id
    const own = this.#writer.window?.unanswered().filter((message) => message.run_id === run_id)
    return (own ?? []).map((message) => message.id)
  }

  // ---- what an answer leads to -------------------------------------------------------------------------------

  async *#follow(
    model: ResolvedModel,
    step: OpenStep,
    answer: Answer,
    last: boolean,
  ): AsyncGenerator<AgentEvent, StopReason | null> {
    if (answer.tool_calls.length === 0) return yield* this.#speak(model, step, answer, last)
    const waiting = answer.tool_calls.filter(
      (call) => this.#waits(call.function.name) && isReadable(call.function.arguments),
    )
    if (waiting.length > 0) return yield* this.#wait(model, step, answer, waiting)
    return yield* this.#act(model, step, answer, last)
  }

  /** An answer without a call: it ends the turn, or the model is asked to go on. */
  async *#speak(
    model: ResolvedModel,
    step: OpenStep,
    answer: Answer,
    last: boolean,
  ): AsyncGenerator<AgentEvent, StopReason | null> {
    refuseNothing(model, answer)
    const { stop, say } = this.#continuation(this.#loop.afterText(answer), step.id, last)
    const messages = answer.text === '' ? [] : [this.#writer.assistant(model, step, answer.content, [])]
    const row = this.#writer.answered(model, step, answer, messages, stop)
    const all = [...messages, ...say]
    await this.#writer.commit({ step: row, messages: all, ...this.#writer.ending(stop, all) })
    this.#writer.window?.add(all)
    yield* this.#report(all, row)
    return stop
  }

  /** Runs the calls, commits them with their returns, and extends the conversation. */
  async *#act(
    model: ResolvedModel,
    step: OpenStep,
    answer: Answer,
    last: boolean,
  ): AsyncGenerator<AgentEvent, StopReason | null> {
    const asked = this.#writer.assistant(model, step, answer.content, answer.tool_calls)
    yield { type: 'message', message: asked }
    const executed = yield* this.#run(answer.tool_calls, this.#writer.scope())
    step.clock.toolsRun()
    const { stop, say } = this.#continuation(this.#loop.afterCalls(executed), step.id, last)
    const row = this.#writer.answered(model, step, answer, [asked], stop)
    const returned = await this.#writer.commitReturns(executed, this.#writer.scope(), {
      step: row,
      step_id: step.id,
      before: [asked],
      after: say,
      stop,
    })
    this.#produced.push(asked)
    yield* this.#report([returned, ...say], row)
    return stop
  }

  #run(calls: readonly StoredToolCall[], scope: ToolCallScope): AsyncGenerator<AgentEvent, ExecutedCall[]> {
    return tellWhile<ExecutedCall[], AgentEvent>((tell) => {
      const onProgress = ({ id }: StoredToolCall, text: string) =>
        tell({ type: 'tool_progress', tool_call_id: id, text })
      return this.#orAbort(runToolCalls(calls, { ...scope, onProgress }))
    })
  }

  /** Ends the turn until calls are approved or run by the client. Nothing of the answer is run before. */
  async *#wait(
    model: ResolvedModel,
    step: OpenStep,
    answer: Answer,
    waiting: readonly StoredToolCall[],
  ): AsyncGenerator<AgentEvent, StopReason> {
    const stop: StopReason = 'requires_approval'
    const others = answer.tool_calls.filter((call) => !waiting.includes(call))
    const messages: StoredMessage[] = []
    if (answer.content.length > 0 || others.length > 0)
      messages.push(this.#writer.assistant(model, step, answer.content, others))
    messages.push(
      approvalRequest(
        step.message_id,
        [...waiting],
        model.info.model,
        this.#writer.place(step.id),
        this.#deps.clock.now(),
        guardReason(this.#tools, waiting),
      ),
    )
    const row = this.#writer.answered(model, step, answer, messages, stop)
    await this.#writer.commit({ step: row, messages, ...this.#writer.finishing(stop) })
    yield* this.#report(messages, row)
    return stop
  }

  /** Does what was decided about the calls that the turn before waited for (reference 3.6). */
  async *#carryOut(open: OpenCalls): AsyncGenerator<AgentEvent, StopReason | null> {
    const { step_id } = open.asked
    const follow_ups = [...this.#input.follow_ups]
    const scope = { ...this.#writer.scope(), decisions: open.decisions ?? new Map<string, StoredApproval>() }
    const executed = yield* this.#run(open.calls, scope)
    const wanted = this.#loop.afterCalls(executed)
    const { stop, say } =
      follow_ups.length > 0 ? { stop: null, say: follow_ups } : this.#continuation(wanted, step_id, false)
    const returned = await this.#writer.commitReturns(executed, scope, {
      step: null,
      step_id,
      before: [],
      after: say,
      stop,
    })
    this.#decided = null
    this.#produced.push(returned)
    yield { type: 'message', message: returned }
    return stop
  }

  /** Stores what was to follow calls that another process carried out, or gave up. */
  async #commitFollowUps(): Promise<void> {
    const { follow_ups, opened } = this.#input
    if (follow_ups.length === 0) return
    const known = new Set(opened.context.map((message) => message.id))
    const messages = follow_ups.filter((message) => !known.has(message.id))
    if (messages.length === 0) return
    await this.#writer.commit({ step: null, messages })
    this.#writer.window?.add(messages)
  }

  /** What is stored of decided calls when the turn ends before they were carried out. */
  #abandon(): StoredMessage[] {
    const now = this.#deps.clock.now().toISOString()
    const { conversation_id, opened } = this.#input
    const returns = missingReturns(opened.context, conversation_id, now)
    const run_id = this.#input.run.id
    return [...returns.map((message) => ({ ...message, run_id })), ...this.#input.follow_ups]
  }

  /** Whether a call of this tool is put before the user, or left to the client, instead of being run. */
  #waits(name: string): boolean {
    const { client, guarded, rules, schemas } = this.#tools
    if (!client.has(name) && !guarded.has(name) && !rules.needsApproval(name)) return false
    return schemas.some((schema) => schema.name === name) && rules.valid().includes(name)
  }

  /** What the loop wants, unless this was the last step it may take. */
  #continuation(
    wanted: Continuation,
    step_id: string | null,
    last: boolean,
  ): { stop: StopReason | null; say: StoredMessage[] } {
    if (wanted.stop !== null) return { stop: wanted.stop, say: [] }
    if (last) return { stop: 'max_steps', say: [] }
    if (wanted.say === null) return { stop: null, say: [] }
    const content = wanted.say
    return {
      stop: null,
      say: [inputMessage({ role: 'user', content }, this.#writer.place(step_id), this.#deps.clock.now())],
    }
  }

  #orAbort<T>(promise: Promise<T>): Promise<T> {
    return orAbort(promise, this.#signal)
  }

  /** The step is committed: nothing of it is under way any more. */
  *#report(messages: StoredMessage[], row: Step): Generator<AgentEvent> {
    this.#step = null
    for (const message of messages.filter(isOurs)) {
      this.#produced.push(message)
      yield { type: 'message', message }
    }
    yield { type: 'step_end', step: row }
  }
}

/** What a turn shows of its messages: not those that it says in the user's place. */
function isOurs(message: StoredMessage): boolean {
  return message.role !== 'user'
}

function isReadable(text: string): boolean {
  return typeof parseArguments(text) !== 'string'
}

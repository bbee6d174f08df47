import type { Agent } from '../schema/agent.ts'
import { AppError, isAppError } from '../schema/errors.ts'
import { newId } from '../schema/ids.ts'
import type { Logprobs, StopReason, StoredMessage, UsageStatistics } from '../schema/message.ts'
import type { Run, Step } from '../schema/run.ts'
import type { ToolSchema } from '../schema/tool.ts'
import { type Answer, readAnswer } from './answer.ts'
import type { AgentEvent, TurnError, TurnResult } from './events.ts'
import { WorkingMemory } from './memory.ts'
import { assistantMessage, textOf, toModelMessages, toolMessage } from './messages.ts'
import type { Actor } from './ports/actor.ts'
import type { CoreDeps } from './ports/deps.ts'
import type { ModelMessage, ResolvedModel } from './ports/models.ts'
import type { CommitStep, FinishRun, OpenedTurn } from './ports/turn-store.ts'
import { compilePrompt, isCurrentPrompt, renderPrompt } from './prompt.ts'
import { StepClock } from './step-clock.ts'
import { type ExecutedCall, runAgain, runToolCalls, type ToolCallScope } from './tool-calls.ts'
import { describeError, refuseNothing, statusOf, stopReasonOf } from './turn-end.ts'

export interface TurnInput {
  actor: Actor
  run: Run
  conversation_id: string
  opened: OpenedTurn
  /** Model calls at the most; the last one may still run its tools. */
  max_steps: number
  /** Pass the model's deltas on as they come. */
  stream_tokens: boolean
  /** Instead of the agent's model, for this turn. */
  override_model: string | null
  /** Instead of the agent's system message, for this turn. */
  override_system: string | null
  /** Ask for log probabilities, whatever the agent's settings say. */
  logprobs: { top: number | null } | null
}

/** How often a step may be applied again because somebody else changed the same block. */
const MAX_CONFLICTS = 20

/**
 * One turn of an agent whose input is already stored: ask the model, run the tools it calls, commit the step,
 * repeat. Read to the end it commits or closes the run exactly once. Expected failures (the model, an abort, a
 * lost lease) end in a `run_end` with a reason; only a failing store throws.
 */
export async function* runTurn(
  input: TurnInput,
  deps: CoreDeps,
  options: { signal: AbortSignal },
): AsyncGenerator<AgentEvent, TurnResult> {
  const turn = new Turn(input, deps, options.signal)
  yield { type: 'run_start', run: input.run }
  let result: TurnResult
  try {
    const stop_reason = yield* turn.steps()
    result = turn.result(statusOf(stop_reason), stop_reason)
  } catch (error) {
    result = yield* turn.close(error)
  }
  yield { type: 'run_end', result }
  return result
}

class Turn {
  readonly #input: TurnInput
  readonly #deps: CoreDeps
  readonly #signal: AbortSignal
  readonly #agent: Agent
  readonly #memory: WorkingMemory
  readonly #started: number
  readonly #produced: StoredMessage[] = []
  readonly #usage: UsageStatistics
  readonly #partial = { text: '' }
  #system: CommitStep['system']
  #first_token: number | null = null
  #step_id: string | null = null
  #message_id: string | null = null
  #model: ResolvedModel | null = null
  #logprobs: Logprobs | null = null
  /** Of the step that is under way. */
  #clock: StepClock | null = null

  constructor(input: TurnInput, deps: CoreDeps, signal: AbortSignal) {
    this.#input = input
    this.#deps = deps
    this.#signal = signal
    this.#agent = input.opened.agent
    this.#memory = new WorkingMemory(input.opened.agent.blocks)
    this.#started = deps.clock.monotonic()
    this.#usage = {
      message_type: 'usage_statistics',
      completion_tokens: 0,
      prompt_tokens: 0,
      total_tokens: 0,
      step_count: 0,
      run_ids: [input.run.id],
      cached_input_tokens: null,
      cache_write_tokens: null,
      reasoning_tokens: null,
      context_tokens: null,
    }
  }

  /** The loop. Returns once the step that ends the run is committed. */
  async *steps(): AsyncGenerator<AgentEvent, StopReason> {
    const handle = this.#input.override_model ?? this.#agent.model ?? 'letta/auto'
    const model = await this.#orAbort(this.#deps.models.resolve(this.#input.actor, handle))
    this.#model = model
    const conversation = this.#buildContext(model)
    const tools = this.#agent.tools.flatMap((tool) =>
      tool.json_schema ? [tool.json_schema as unknown as ToolSchema] : [],
    )
    for (let n = 1; ; n++) {
      this.#signal.throwIfAborted()
      const answer = yield* this.#ask(model, conversation, tools)
      const kept = this.#callsToRun(answer)
      if (kept.length === 0) return yield* this.#end(model, answer)
      const stop = yield* this.#act(model, answer, kept, conversation, n >= this.#input.max_steps)
      if (stop) return stop
    }
  }

  result(status: TurnResult['status'], stop_reason: StopReason): TurnResult {
    return {
      run_id: this.#input.run.id,
      status,
      stop_reason,
      usage: this.#usage,
      messages: this.#produced,
      logprobs: this.#logprobs,
    }
  }

  /** The turn stopped before its end: what the user saw stays, the run is closed, the conversation is free. */
  async *close(error: unknown): AsyncGenerator<AgentEvent, TurnResult> {
    const cancelled = this.#signal.aborted
    const reason: StopReason = cancelled ? 'cancelled' : stopReasonOf(error)
    const result = this.result(cancelled ? 'cancelled' : 'failed', reason)
    if (!cancelled) result.error = describeError(error)
    if (isAppError(error, 'lease_lost')) return result
    const messages: StoredMessage[] = []
    if (this.#partial.text !== '' && this.#message_id !== null) {
      messages.push(
        assistantMessage(
          this.#message_id,
          [{ type: 'text', text: this.#partial.text }],
          [],
          this.#model?.info.model ?? this.#agent.llm_config.model,
          this.#place(),
          this.#deps.clock.now(),
        ),
      )
    }
    try {
      const step = this.#unfinishedStep(cancelled ? 'cancelled' : 'failed', reason, result.error)
      await this.#commit({
        step,
        messages,
        keep_edits: false,
        finish: this.#finish(result.status, reason, result.error),
      })
    } catch (failure) {
      // Whoever took the conversation over has closed this run already.
      if (isAppError(failure, 'lease_lost')) return result
      throw failure
    }
    for (const message of messages) {
      this.#produced.push(message)
      if (!this.#input.stream_tokens) yield { type: 'message', message }
    }
    return result
  }

  // ---- asking ------------------------------------------------------------------------------------------------

  /** The promise, or a rejection as soon as the turn is cancelled: not everything that is awaited hears of an abort. */
  async #orAbort<T>(promise: Promise<T>): Promise<T> {
    this.#signal.throwIfAborted()
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const abort = () => reject(this.#signal.reason as Error)
    this.#signal.addEventListener('abort', abort, { once: true })
    try {
      return await Promise.race([promise, aborted])
    } finally {
      this.#signal.removeEventListener('abort', abort)
    }
  }

  #view(model: ResolvedModel) {
    return {
      timezone: this.#agent.timezone,
      max_return_chars: Math.max(5000, Math.floor(this.#agent.llm_config.context_window * 0.2 * 4)),
      model: model.info.model,
    }
  }

  #buildContext(model: ResolvedModel): ModelMessage[] {
    const { opened, override_system, conversation_id } = this.#input
    const messages = toModelMessages(opened.context, this.#view(model))
    const system = opened.context[0]
    if (override_system !== null) {
      messages[0] = { role: 'system', text: override_system }
    } else if (system) {
      const prompt = compilePrompt(this.#agent)
      if (!isCurrentPrompt(prompt, textOf(system.content))) {
        const text = renderPrompt(prompt, {
          agent_id: this.#agent.id,
          conversation_id: conversation_id === this.#agent.id ? 'default' : conversation_id,
          compiled_at: this.#deps.clock.now(),
          timezone: this.#agent.timezone,
          recall_count: opened.recall_count,
          archival: opened.archival,
        })
        this.#system = { message_id: system.id, text }
        messages[0] = { role: 'system', text }
      }
    }
    return messages
  }

  async *#ask(
    model: ResolvedModel,
    messages: ModelMessage[],
    tools: ToolSchema[],
  ): AsyncGenerator<AgentEvent, Answer> {
    const step_id = (this.#step_id = newId('step'))
    const message_id = (this.#message_id = newId('message'))
    this.#partial.text = ''
    const clock = (this.#clock = new StepClock(this.#deps.clock))
    yield { type: 'step_start', step_id, message_id }
    const config = this.#agent.llm_config
    const logprobs =
      this.#input.logprobs ?? (config.return_logprobs ? { top: config.top_logprobs ?? null } : null)
    const events = readAnswer(
      model.language_model,
      {
        messages: [...messages],
        tools,
        tool_choice: 'auto',
        parallel_tool_calls: config.parallel_tool_calls ?? false,
        settings: {
          temperature: config.temperature,
          max_tokens: config.max_tokens,
          reasoning_effort: config.reasoning_effort,
          response_format: this.#agent.response_format,
        },
        ...(logprobs ? { logprobs } : {}),
      },
      {
        signal: this.#signal,
        stream: this.#input.stream_tokens,
        step_id,
        message_id,
        partial: this.#partial,
      },
    )
    for (;;) {
      const next = await events.next()
      this.#first_token ??= this.#deps.clock.monotonic()
      if (next.done) {
        clock.answered()
        this.#logprobs = next.value.logprobs
        return next.value
      }
      yield next.value
    }
  }

  /** With parallel calls off a model that sends several gets only its first one run (reference 3.2). */
  #callsToRun(answer: Answer): Answer['tool_calls'] {
    return this.#agent.llm_config.parallel_tool_calls === true
      ? answer.tool_calls
      : answer.tool_calls.slice(0, 1)
  }

  // ---- what an answer leads to -------------------------------------------------------------------------------

  /** A plain answer ends the turn. */
  async *#end(model: ResolvedModel, answer: Answer): AsyncGenerator<AgentEvent, StopReason> {
    refuseNothing(model, answer)
    const stop: StopReason = answer.finish_reason === 'length' ? 'max_tokens_exceeded' : 'end_turn'
    const messages = answer.text === '' ? [] : [this.#assistant(model, answer, [])]
    const step = this.#step(model, answer, stop)
    await this.#commit({ step, messages, finish: this.#finish(statusOf(stop), stop) })
    yield* this.#report(messages, step)
    return stop
  }

  /** Runs the calls, commits them with their returns, and extends the conversation. Returns a reason to stop. */
  async *#act(
    model: ResolvedModel,
    answer: Answer,
    calls: Answer['tool_calls'],
    conversation: ModelMessage[],
    last: boolean,
  ): AsyncGenerator<AgentEvent, StopReason | null> {
    const asked = this.#assistant(model, answer, calls)
    yield { type: 'message', message: asked }
    const scope: ToolCallScope = {
      actor: this.#input.actor,
      agent: this.#agent,
      run_id: this.#input.run.id,
      memory: this.#memory,
      deps: this.#deps,
      signal: this.#signal,
    }
    let executed: ExecutedCall[] = await this.#orAbort(runToolCalls(calls, scope))
    this.#clock?.toolsRun()
    const stop: StopReason | null = last ? 'max_steps' : null
    const step = this.#step(model, answer, stop)
    const returned = toolMessage(
      executed.map((e) => e.result),
      this.#place(),
      this.#deps.clock.now(),
    )
    for (let attempt = 0; ; attempt++) {
      returned.tool_returns = executed.map((e) => e.result)
      const outcome = await this.#commit({
        step,
        messages: [asked, returned],
        passages: executed.flatMap((e) => e.passages),
        ...(stop ? { finish: this.#finish('completed', stop) } : {}),
      })
      if (outcome.status === 'committed') break
      if (attempt >= MAX_CONFLICTS)
        throw new AppError(
          'conflict',
          'a memory block of this agent was changed by others faster than it could be edited',
        )
      this.#memory.rebase(outcome)
      executed = await this.#orAbort(runAgain(executed, scope))
    }
    this.#memory.committed()
    yield* this.#report([returned], step)
    this.#produced.splice(this.#produced.length - 1, 0, asked)
    conversation.push(...toModelMessages([asked, returned], this.#view(model)))
    return stop
  }

  *#report(messages: StoredMessage[], step: Step): Generator<AgentEvent> {
    this.#partial.text = ''
    this.#clock = null
    for (const message of messages) {
      this.#produced.push(message)
      yield { type: 'message', message }
    }
    yield { type: 'step_end', step }
  }

  // ---- records -----------------------------------------------------------------------------------------------

  #place() {
    return {
      agent_id: this.#agent.id,
      conversation_id: this.#input.conversation_id,
      run_id: this.#input.run.id,
      step_id: this.#step_id,
    }
  }

  #assistant(model: ResolvedModel, answer: Answer, calls: Answer['tool_calls']): StoredMessage {
    return assistantMessage(
      this.#message_id ?? newId('message'),
      answer.content,
      calls,
      model.info.model,
      this.#place(),
      this.#deps.clock.now(),
    )
  }

  #step(model: ResolvedModel, answer: Answer, stop_reason: StopReason | null): Step {
    const usage = answer.usage
    const add = (a: number | null, b: number | null | undefined) => (b == null ? a : (a ?? 0) + b)
    const total = this.#usage
    total.step_count += 1
    total.prompt_tokens += usage?.prompt_tokens ?? 0
    total.completion_tokens += usage?.completion_tokens ?? 0
    total.total_tokens += usage?.total_tokens ?? 0
    total.cached_input_tokens = add(total.cached_input_tokens, usage?.cached_input_tokens)
    total.cache_write_tokens = add(total.cache_write_tokens, usage?.cache_write_tokens)
    total.reasoning_tokens = add(total.reasoning_tokens, usage?.reasoning_tokens)
    total.context_tokens = usage?.total_tokens ?? total.context_tokens
    return this.#stepRow(model, { status: 'success', stop_reason, usage })
  }

  /** The step that an abort or a failure cut off; null when none had begun, or it was committed already. */
  #unfinishedStep(status: 'cancelled' | 'failed', stop_reason: StopReason, error?: TurnError): Step | null {
    if (!this.#clock || !this.#model) return null
    return {
      ...this.#stepRow(this.#model, { status, stop_reason, usage: null }),
      error_type: error?.type ?? null,
      error_data: error ? { message: error.message, detail: error.detail } : null,
    }
  }

  #stepRow(
    model: ResolvedModel,
    { status, stop_reason, usage }: Pick<Step, 'status' | 'stop_reason'> & Pick<Answer, 'usage'>,
  ): Step {
    return {
      id: this.#step_id ?? newId('step'),
      run_id: this.#input.run.id,
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
      error_type: null,
      error_data: null,
      created_at: this.#deps.clock.now().toISOString(),
      ...(this.#clock ? { timing: this.#clock.timing() } : {}),
    }
  }

  #finish(status: FinishRun['status'], stop_reason: StopReason, error?: TurnError): FinishRun {
    const elapsed = (from: number) => Math.round((from - this.#started) * 1e6)
    return {
      status,
      stop_reason,
      completed_at: this.#deps.clock.now().toISOString(),
      ttft_ns: this.#first_token === null ? null : elapsed(this.#first_token),
      total_duration_ns: elapsed(this.#deps.clock.monotonic()),
      metadata: error ? { error: { type: error.type, message: error.message, detail: error.detail } } : null,
    }
  }

  async #commit({
    keep_edits = true,
    ...part
  }: Pick<CommitStep, 'step' | 'messages' | 'passages' | 'finish'> & { keep_edits?: boolean }) {
    const outcome = await this.#deps.store.turns.commit(this.#input.actor, {
      agent_id: this.#agent.id,
      conversation_id: this.#input.conversation_id,
      run_id: this.#input.run.id,
      epoch: this.#input.opened.epoch,
      ...part,
      ...(this.#system ? { system: this.#system } : {}),
      block_edits: part.step === null || !keep_edits ? [] : this.#memory.edits(),
    })
    if (outcome.status === 'committed') this.#system = undefined
    return outcome
  }
}

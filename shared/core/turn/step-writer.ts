import type { Agent } from '../../schema/agent.ts'
import { AppError } from '../../schema/errors.ts'
import type { ContentPart, StopReason, StoredMessage, StoredToolCall } from '../../schema/message.ts'
import type { Step } from '../../schema/run.ts'
import type { TurnWindow } from '../context/turn-window.ts'
import { WorkingMemory } from '../memory.ts'
import { assistantMessage, maxReturnChars, toolMessage, type ViewOptions } from '../messages.ts'
import { olderViewOf } from '../older-view.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { ModelRequest, ResolvedModel } from '../ports/models.ts'
import type { NewTrace } from '../ports/trace-store.ts'
import type { CommitStep } from '../ports/turn-store.ts'
import type { Answer } from './answer.ts'
import { orAbort } from './or-abort.ts'
import { returned as returnedText } from './past-calls.ts'
import { type OpenStep, type Place, TurnRecords } from './records.ts'
import { type ExecutedCall, runAgain, type ToolCallScope } from './tool-calls.ts'
import { statusOf } from './turn-end.ts'
import type { TurnInput } from './turn-input.ts'
import type { TurnTools } from './turn-tools.ts'

/** How often a step may be applied again because somebody else changed the same block. */
const MAX_CONFLICTS = 20

/** What the steps of one turn leave in the store, and in what the model is shown next. */
export class StepWriter {
  readonly memory: WorkingMemory
  readonly records: TurnRecords
  /** What the model is shown; each committed step is added. */
  window: TurnWindow | null = null
  /** The prompt, when it was compiled anew and is not stored yet. */
  system: CommitStep['system']
  /** The step that ends the run is committed, but its context is too full to leave it at that. */
  unfinished = false
  readonly #input: TurnInput
  readonly #agent: Agent
  readonly #tools: TurnTools
  readonly #deps: CoreDeps
  readonly #signal: AbortSignal
  /** Of the step that is under way. */
  #trace: NewTrace | null = null

  constructor(input: TurnInput, tools: TurnTools, deps: CoreDeps, signal: AbortSignal) {
    this.#input = input
    this.#agent = input.opened.agent
    this.#tools = tools
    this.#deps = deps
    this.#signal = signal
    this.memory = new WorkingMemory(this.#agent.blocks)
    this.records = new TurnRecords(this.#agent, input.run.id, deps.clock)
  }

  /** A request goes to the model: it is stored with the step that it belongs to, answered or not. */
  asked(model: ResolvedModel, request: ModelRequest): void {
    const { messages, tools, ...settings } = request
    const [first] = messages
    this.#trace = {
      context: this.window?.context.slice() ?? [],
      system: first?.role === 'system' ? first.text : '',
      tools,
      settings: { ...settings, stream: this.#input.stream_tokens },
      view: this.view(),
      model: model.handle,
      response: null,
    }
  }

  /** The answer to it; with fallback models `model` is the one that gave it. */
  heard(model: ResolvedModel, answer: Answer): void {
    const { content, tool_calls, finish_reason, usage, logprobs } = answer
    if (!this.#trace) return
    this.#trace.model = model.handle
    this.#trace.response = { content, tool_calls, finish_reason, usage, logprobs }
  }

  /**
   * Commits the returns of calls between other messages, running those again whose memory somebody else has changed,
   * and extends the conversation.
   */
  async commitReturns(
    calls: readonly ExecutedCall[],
    scope: ToolCallScope,
    part: {
      step: Step | null
      step_id: string | null
      before: readonly StoredMessage[]
      after: readonly StoredMessage[]
      stop: StopReason | null
    },
  ): Promise<StoredMessage> {
    const returned = toolMessage([], this.place(part.step_id), this.#deps.clock.now())
    const messages = [...part.before, returned, ...part.after]
    let executed = calls
    for (let attempt = 0; ; attempt++) {
      returned.tool_returns = executed.map((e) => e.result)
      const outcome = await this.commit({
        step: part.step,
        messages,
        passages: executed.flatMap((e) => e.passages),
        ...this.ending(part.stop, messages),
      })
      if (outcome.status === 'committed') break
      if (attempt >= MAX_CONFLICTS)
        throw new AppError(
          'conflict',
          'a memory block of this agent was changed by others faster than it could be edited',
        )
      this.memory.rebase(outcome)
      executed = await orAbort(runAgain(executed, scope), this.#signal)
    }
    this.memory.committed()
    for (const { outcome, result } of executed)
      if (outcome === 'made')
        this.#tools.rules.record({ name: result.name, text: returnedText(result.func_response) })
    this.window?.add(messages)
    return returned
  }

  /** What a step that brings these messages ends: not the run yet when the context is to be made shorter first. */
  ending(stop: StopReason | null, messages: readonly StoredMessage[]): Pick<CommitStep, 'finish'> {
    // A context that the next turn clears is left as it is.
    const stays = !this.#agent.message_buffer_autoclear
    this.unfinished = stop !== null && stays && (this.window?.isFull(messages) ?? false)
    return stop && !this.unfinished ? this.finishing(stop) : {}
  }

  /** Ends the run for this reason. */
  finishing(stop: StopReason): Required<Pick<CommitStep, 'finish'>> {
    return { finish: this.records.finish(statusOf(stop), stop) }
  }

  /** How stored messages of this agent are shown to a model. */
  view(): ViewOptions {
    return {
      timezone: this.#agent.timezone,
      max_return_chars: maxReturnChars(this.#agent.llm_config.context_window),
      older: olderViewOf(this.#agent),
    }
  }

  /** What the calls of a step work on. */
  scope(): ToolCallScope {
    return {
      actor: this.#input.actor,
      agent: this.#agent,
      run_id: this.#input.run.id,
      memory: this.memory,
      rules: this.#tools.rules,
      client: this.#tools.client,
      messaging: this.#input.messaging,
      deps: this.#deps,
      signal: this.#signal,
    }
  }

  /** Where the messages of a step belong. */
  place(step_id: string | null): Place {
    return {
      agent_id: this.#agent.id,
      conversation_id: this.#input.conversation_id,
      run_id: this.#input.run.id,
      step_id,
    }
  }

  /** The answer of a step as it is stored. */
  assistant(
    model: ResolvedModel,
    step: OpenStep,
    content: ContentPart[],
    calls: StoredToolCall[],
  ): StoredMessage {
    const now = this.#deps.clock.now()
    return assistantMessage(step.message_id, content, calls, model.info.model, this.place(step.id), now)
  }

  /** The row of a step whose model has answered, by these messages; counts its usage. */
  answered(
    model: ResolvedModel,
    step: OpenStep,
    answer: Answer,
    messages: readonly StoredMessage[],
    stop_reason: StopReason | null,
  ): Step {
    this.records.count(answer.usage)
    this.window?.answered(answer.usage, messages)
    return this.records.step(step, model, { status: 'success', stop_reason, usage: answer.usage })
  }

  /**
   * Stores a step, or a part of one, with the edits of blocks that it made (`keep_edits: false` leaves them out). Throws
   * what the store says; a block that somebody else has changed is a conflict, and nothing is stored.
   */
  async commit({
    keep_edits = true,
    ...part
  }: Pick<
    CommitStep,
    'step' | 'messages' | 'passages' | 'finish' | 'compaction' | 'drop' | 'context_usage' | 'hurried'
  > & {
    keep_edits?: boolean
  }) {
    // A context that loses something is counted anew.
    const usage = part.drop ? undefined : this.window?.usageWith(part.messages)
    const outcome = await this.#deps.store.turns.commit(this.#input.actor, {
      agent_id: this.#agent.id,
      conversation_id: this.#input.conversation_id,
      run_id: this.#input.run.id,
      epoch: this.#input.opened.epoch,
      ...(usage ? { context_usage: usage } : {}),
      ...part,
      ...(part.step && this.#trace ? { trace: this.#trace } : {}),
      ...(this.system ? { system: this.system } : {}),
      block_edits: keep_edits ? this.memory.edits() : [],
    })
    if (outcome.status === 'committed') {
      this.system = undefined
      if (part.step) this.#trace = null
    }
    return outcome
  }
}

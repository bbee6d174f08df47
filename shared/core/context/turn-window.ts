import type { Agent } from '../../schema/agent.ts'
import type { Block } from '../../schema/block.ts'
import type { CompactionSettings, CompactionTrigger } from '../../schema/compaction.ts'
import { AppError } from '../../schema/errors.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { ToolSchema } from '../../schema/tool.ts'
import type { AgentEvent } from '../events.ts'
import { textOf, toModelMessages, type ViewOptions } from '../messages.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { ContextUsage } from '../ports/compaction-store.ts'
import type { ModelMessage, ModelRequest, ModelUsage, ResolvedModel } from '../ports/models.ts'
import type { CommitStep, OpenedTurn } from '../ports/turn-store.ts'
import { compilePrompt, renderPrompt } from '../prompt.ts'
import { compactContext, type CompactionInput, FULL, planCompaction } from './compact.ts'
import { newCompactionSettings } from './compaction-settings.ts'
import { unansweredFrom } from './cuts.ts'
import { repeatedTokens, tokensOf, toolTokens } from './message-tokens.ts'
import { ContextMeter } from './meter.ts'

/** How many times the window a context may be by our estimate and still be sent: the first of an agent may be a third off. */
const CLEARLY = 1.3

export interface TurnWindowInput {
  actor: Actor
  run_id: string
  conversation_id: string
  opened: OpenedTurn
  model: ResolvedModel
  view: ViewOptions
  /** The tools of a request; those of single steps may be fewer. */
  tools: readonly ToolSchema[]
  /** The system message as the model is shown it: `messages[0]`. */
  messages: ModelMessage[]
  /** Set when the prompt was compiled anew and is not stored yet. */
  system: CommitStep['system']
  override_system: string | null
}

/** What `TurnWindow.compact` leaves to be committed. */
export type CompactionPart = Required<Pick<CommitStep, 'compaction' | 'context_usage'>> &
  Pick<CommitStep, 'system'>

/**
 * What the model is shown during one turn, how large it is, and how it is made shorter. `messages` grows with each
 * committed step; the part before stays byte-identical until a compaction (DESIGN decision 9).
 */
export class TurnWindow {
  readonly #input: TurnWindowInput
  readonly #deps: CoreDeps
  readonly #agent: Agent
  readonly #meter: ContextMeter
  /** By our count; counted when it is first asked for. */
  #tool_tokens: number | null = null
  #stored: StoredMessage[]
  #messages: ModelMessage[]
  /** Answers whose tokens the provider has counted already. */
  #counted: readonly StoredMessage[] = []
  /** What left the context in this turn. */
  #hidden = 0
  /** The window that the provider names, when it is smaller than was known. */
  #named: number | null = null
  /** What the requests of this turn add to the stored system message. */
  readonly #suffix: string

  constructor(input: TurnWindowInput, deps: CoreDeps) {
    const { opened, model, view } = input
    this.#input = input
    this.#deps = deps
    this.#agent = opened.agent
    this.#messages = input.messages
    this.#stored = opened.context.slice()
    const { context_usage, added, context } = opened
    this.#meter = new ContextMeter(model.handle, context_usage, added > 0 ? context.slice(-added) : [], {
      fixed: () => this.#fixed(),
      messages: () => this.#stored.slice(1),
      max_return_chars: view.max_return_chars,
    })
    const stored = context[0] ? textOf(context[0].content) : ''
    const shown = this.#systemText()
    const base = input.system?.text ?? stored
    this.#suffix = shown.startsWith(base) ? shown.slice(base.length) : ''
    if (shown !== stored) this.#meter.systemChanged(repeatedTokens(stored), repeatedTokens(shown))
  }

  /** The stored messages that `messages` shows. */
  get context(): readonly StoredMessage[] {
    return this.#stored
  }

  /** To be sent: copy it, it grows. */
  get messages(): readonly ModelMessage[] {
    return this.#messages
  }

  /** Tokens of the next request, the provider's count as far as there is one. */
  get tokens(): number {
    return this.#meter.tokens
  }

  /** Tokens that the context may have. */
  get size(): number {
    const own = this.#agent.llm_config.context_window
    const most = this.#input.model.info.max_context_window
    return Math.min(own, most > 0 ? most : own, this.#named ?? own)
  }

  /** Whether the context is so much larger than the window that the estimate cannot be what is wrong. */
  get isTooLong(): boolean {
    return this.tokens > CLEARLY * this.size
  }

  /** The provider called a request too long: what it says its window is holds from now on. */
  refused({ data }: AppError): void {
    const named = data['context_window']
    if (typeof named === 'number' && named < this.size) this.#named = named
  }

  /** The system message and the tools alone. */
  get systemTokens(): number {
    return Math.round(this.#meter.estimate(this.#fixed()))
  }

  /** Whether the system message and the tools alone fill the window: nothing that can be summarised helps then. */
  get isStuck(): boolean {
    return this.systemTokens >= this.size
  }

  /** An answer came: what the provider counted, and the messages that it becomes. */
  answered(usage: ModelUsage | null, messages: readonly StoredMessage[]): void {
    this.#meter.answered(usage, messages)
    this.#counted = messages
  }

  /** What a step that brings these messages has to store. */
  usageWith(messages: readonly StoredMessage[]): ContextUsage {
    return { ...this.#meter.usage, tokens: this.#tokensWith(messages) }
  }

  /** Whether the context with these messages is so full that it should be made shorter. */
  isFull(messages: readonly StoredMessage[] = []): boolean {
    return this.#tokensWith(messages) > FULL * this.size
  }

  /** These messages are committed. */
  add(messages: readonly StoredMessage[]): void {
    this.#meter.add(messages.filter((message) => !this.#counted.includes(message)))
    this.#counted = []
    this.#stored.push(...messages)
    this.#messages.push(...toModelMessages(messages, this.#input.view))
  }

  /** The turn's input, while no model has answered it. */
  unanswered(): StoredMessage[] {
    return this.#stored.slice(unansweredFrom(this.#stored, this.#input.run_id))
  }

  /**
   * Makes the context shorter: announces it, has the older part summarised and answers what is to be committed; the
   * new context is in `messages`. The prompt is compiled anew with the present blocks. Null, and nothing is announced,
   * when there is nothing that could go. Rejects only when it is aborted.
   */
  async *compact(
    how: {
      trigger: CompactionTrigger
      /** Attempts so far to make one request fit. */
      attempt: number
      step_id: string | null
      blocks: readonly Block[]
      request: ModelRequest
    },
    options: { signal: AbortSignal },
  ): AsyncGenerator<AgentEvent, CompactionPart | null> {
    const { actor, conversation_id, run_id, model, view, override_system, opened } = this.#input
    const { trigger, attempt, step_id } = how
    // A summary of all the rest would be made for nothing.
    if (this.isStuck || (trigger === 'context_window_exceeded' && this.#inputIsTooLong())) return null
    const compaction: CompactionInput = {
      actor,
      agent: this.#agent,
      conversation_id,
      run_id,
      step_id,
      context: this.#stored,
      settings: compactionSettingsOf(this.#agent),
      trigger,
      attempt,
      model,
      window: this.size,
      tokens: this.tokens,
      estimate: (count) => this.#meter.estimate(count),
      fixed: this.#fixed(),
      max_return_chars: view.max_return_chars,
      requestUpTo: (index) => ({
        ...how.request,
        messages: this.#messages.slice(0, toModelMessages(this.#stored.slice(0, index), view).length),
      }),
    }
    const plan = planCompaction(compaction)
    if (!plan) return null
    yield {
      type: 'compaction_start',
      id: crypto.randomUUID(),
      date: this.#deps.clock.now().toISOString(),
      run_id,
      step_id,
      trigger,
      context_tokens: this.tokens,
      context_window: this.size,
    }
    const outcome = await compactContext(compaction, plan, this.#deps, options)
    const shown = this.#systemText()
    this.#hidden += outcome.compaction.record.evicted_count
    this.#stored = outcome.context
    this.#messages = toModelMessages(this.#stored, view)
    const first = this.#stored[0]
    let system: CommitStep['system']
    if (override_system !== null) this.#messages[0] = { role: 'system', text: shown }
    else if (first) {
      const text = renderPrompt(compilePrompt({ ...this.#agent, blocks: [...how.blocks] }), {
        agent_id: this.#agent.id,
        conversation_id: conversation_id === this.#agent.id ? 'default' : conversation_id,
        compiled_at: this.#deps.clock.now(),
        timezone: this.#agent.timezone,
        recall_count: opened.recall_count + this.#hidden,
        archival: opened.archival,
      })
      system = { message_id: first.id, text }
      this.#messages[0] = { role: 'system', text: text + this.#suffix }
    }
    this.#meter.replaced()
    return {
      compaction: outcome.compaction,
      context_usage: this.#meter.usage,
      ...(system ? { system } : {}),
    }
  }

  /** Why the context does not fit and cannot be made to, in numbers; `cause` is what the provider said. */
  overflow(cause?: AppError): AppError {
    const system = this.systemTokens
    const { handle } = this.#input.model
    const own = this.#agent.llm_config.context_window
    const [window, way] =
      this.#named === null
        ? [`the context window of ${this.size} tokens (model ${handle})`, 'raise context_window_limit']
        : [
            `the ${this.#named} tokens that the provider of ${handle} takes (context_window_limit is ${own})`,
            `choose a model that reads more; set context_window_limit to at most ${this.#named} for this one, so that its conversations are summarised in time`,
          ]
    const options = cause === undefined ? {} : { cause }
    const said = cause === undefined ? '' : ` ${cause.message}`
    if (this.isStuck)
      return new AppError(
        'context_window_overflow_in_system_prompt',
        `The system prompt and the tools of this agent alone are about ${system} tokens and do not fit into ${window}. Shorten a memory block or the system text, detach tools, or ${way}; then send the message again.${said}`,
        options,
      )
    const unanswered = tokensOf(this.unanswered(), this.#input.view.max_return_chars)
    const input = Math.round(
      unanswered > 0 ? this.#meter.estimate(unanswered) : Math.max(0, this.tokens - system),
    )
    return new AppError(
      'llm_context_window',
      `The message is about ${input} tokens; with the system prompt and the tools (about ${system}) it does not fit into ${window}. Nothing is left that could be summarised. Send it in smaller parts, or ${way}.${said}`,
      options,
    )
  }

  /** Whether the turn's own input does not fit whatever else goes; estimates may be off a little. */
  #inputIsTooLong(): boolean {
    const input = tokensOf(this.unanswered(), this.#input.view.max_return_chars)
    return this.#meter.estimate(this.#fixed() + input) > 1.1 * this.size
  }

  #tokensWith(messages: readonly StoredMessage[]): number {
    const fresh = messages.filter((message) => !this.#counted.includes(message))
    return Math.round(this.#meter.tokensWith(fresh))
  }

  #systemText(): string {
    const [first] = this.#messages
    return first?.role === 'system' ? first.text : ''
  }

  #fixed(): number {
    this.#tool_tokens ??= toolTokens(this.#input.tools)
    return repeatedTokens(this.#systemText()) + this.#tool_tokens
  }
}

/** The compaction settings of an agent, with the defaults for one that has none. */
export function compactionSettingsOf(agent: Agent): CompactionSettings {
  return agent.compaction_settings ?? newCompactionSettings(null, agent.llm_config)
}

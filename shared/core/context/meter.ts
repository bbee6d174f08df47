import type { StoredMessage } from '../../schema/message.ts'
import type { ModelUsage } from '../ports/models.ts'
import type { ContextUsage } from '../ports/compaction-store.ts'
import { tokensOf } from './message-tokens.ts'

/** The provider's count is compared with ours again when a context has become so many times as large, or as small. */
const GROWTH = 1.25
/** A provider that says less than this share of our count, or more than its inverse, is not believed. */
const LEAST_RATIO = 0.4

/** What the meter counts when it has to: the whole request as it stands. */
export interface Metered {
  /** The text of the system message and the definitions of the tools, by our count. */
  fixed: () => number
  /** Without the system message. */
  messages: () => readonly StoredMessage[]
  max_return_chars: number
}

/**
 * How many tokens a conversation's context is. After each answer the provider's own count is taken; what is added
 * since is estimated, corrected by how this model's count compares with ours for this conversation. The whole
 * context is counted only when it has grown by a quarter since it was last compared, so that the cost of a turn does
 * not grow with the history; models that report no usage are counted by ours alone.
 */
export class ContextMeter {
  readonly #model: string
  readonly #metered: Metered
  #tokens: number | null
  #ratio: number
  #compared: number

  /** `known` is of the last step, and `added` what has come to the context since. */
  constructor(model: string, known: ContextUsage | null, added: readonly StoredMessage[], metered: Metered) {
    const same = known?.model === model ? known : null
    this.#model = model
    this.#metered = metered
    this.#ratio = same?.ratio ?? 1
    this.#compared = same?.compared ?? 0
    this.#tokens = same?.tokens ?? null
    this.add(added)
  }

  /** The present size, the next request that is sent. */
  get tokens(): number {
    if (this.#tokens === null) this.#tokens = this.estimate(this.#whole())
    return Math.round(this.#tokens)
  }

  /** The size with these messages. */
  tokensWith(messages: readonly StoredMessage[]): number {
    return this.tokens + this.estimate(tokensOf(messages, this.#metered.max_return_chars))
  }

  /** Our count as this model's provider would count. */
  estimate(count: number): number {
    return count * this.#ratio
  }

  add(messages: readonly StoredMessage[]): void {
    if (this.#tokens !== null)
      this.#tokens += this.estimate(tokensOf(messages, this.#metered.max_return_chars))
  }

  /** The text of the system message was replaced: both counted by us. */
  systemChanged(before: number, after: number): void {
    if (this.#tokens !== null) this.#tokens += this.estimate(after - before)
  }

  /**
   * An answer to the request as it stands. Its own messages are part of what the provider counted: `answer` is to be
   * appended, not added. Reasoning is left out where it is not shown to the model again.
   */
  answered(usage: ModelUsage | null, answer: readonly StoredMessage[]): void {
    if (!usage || usage.prompt_tokens <= 0) return this.add(answer)
    const now = usage.prompt_tokens
    if (now > this.#compared * GROWTH || now * GROWTH < this.#compared) {
      const ratio = now / Math.max(1, this.#whole())
      if (ratio >= LEAST_RATIO && ratio <= 1 / LEAST_RATIO) {
        this.#ratio = ratio
        this.#compared = now
      }
    }
    const kept = answer.some((message) => message.content.some((part) => part.type === 'reasoning'))
    const lost = kept ? 0 : (usage.reasoning_tokens ?? 0)
    this.#tokens = now + Math.max(0, usage.completion_tokens - lost)
  }

  /** The context was replaced; it is counted anew when it is asked for. */
  replaced(): void {
    this.#tokens = null
  }

  /** To be stored with the step. */
  get usage(): ContextUsage {
    return { model: this.#model, ratio: this.#ratio, compared: this.#compared, tokens: this.tokens }
  }

  #whole(): number {
    const { fixed, messages, max_return_chars } = this.#metered
    return fixed() + tokensOf(messages(), max_return_chars)
  }
}

import type { ContentPart, Logprobs } from '../../schema/message.ts'
import type { LlmConfig, Model, ModelSettings } from '../../schema/model.ts'
import type { ToolSchema } from '../../schema/tool.ts'
import type { Actor } from './actor.ts'
import type { BatchCalls } from './provider-batches.ts'

/** One message of a model request, in no vendor's shape. */
export type ModelMessage =
  | { role: 'system'; text: string }
  | { role: 'user'; content: ContentPart[]; name: string | null }
  /** `model` names the one that said it: only that one is shown its reasoning again. */
  | { role: 'assistant'; content: ContentPart[]; tool_calls: ModelToolCall[]; model?: string | null }
  | { role: 'tool'; tool_call_id: string; name: string; content: string | ContentPart[] }

/** `arguments` is JSON text as the model wrote it: hostile until parsed. */
export interface ModelToolCall {
  id: string
  name: string
  arguments: string
  /** What the provider wants to see again with the call (Gemini's thought signature). */
  signature?: string
}

/** What an agent's settings ask of a model; each adapter takes what its provider knows. */
export type RequestSettings = Pick<LlmConfig, 'temperature' | 'max_tokens' | 'reasoning_effort'> &
  Partial<
    Pick<
      LlmConfig,
      'enable_reasoner' | 'max_reasoning_tokens' | 'effort' | 'verbosity' | 'strict' | 'frequency_penalty'
    >
  > &
  Pick<ModelSettings, 'response_format'>

export interface ModelRequest {
  messages: ModelMessage[]
  tools: ToolSchema[]
  tool_choice: 'auto' | 'required' | 'none' | { name: string }
  parallel_tool_calls: boolean
  settings: RequestSettings
  /** Ask for log probabilities of the answer, and of this many alternatives of each token. */
  logprobs?: { top: number | null }
}

export interface ModelUsage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  cached_input_tokens: number | null
  cache_write_tokens: number | null
  reasoning_tokens: number | null
}

/** What a model says, piece by piece. Exactly one `finish`, last; text and calls before it are deltas to concatenate. */
export type ModelEvent =
  | { type: 'text'; text: string }
  /** A signature ends a thought; one without text belongs to a thought that is not shown. */
  | { type: 'reasoning'; text: string; signature?: string }
  /** A thought that only the provider can read. */
  | { type: 'redacted_reasoning'; data: string }
  /** `index` tells parallel calls apart; `id` and `name` come with the first delta of a call. */
  | { type: 'tool_call'; index: number; id?: string; name?: string; arguments: string; signature?: string }
  /** Before anything else: a model could not answer, and another is asked instead. */
  | { type: 'fallback'; from: string; to: string; code: string; reason: string }
  | {
      type: 'finish'
      reason: 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'unknown'
      /** Null when the provider reported none. */
      usage: ModelUsage | null
      /** Of the whole answer, when asked for and known. */
      logprobs?: Logprobs
    }

export interface LanguageModel {
  /**
   * Asks the model once. With `stream: false` each part comes in one piece. An abort rejects promptly. Failures are
   * `AppError` with an `llm_*` code whose text names provider, URL and cause; nothing is thrown after `finish`. With
   * `fail_fast` an overloaded provider is not waited for: another model stands by.
   */
  generate(
    request: ModelRequest,
    options: { signal: AbortSignal; stream: boolean; fail_fast?: boolean },
  ): AsyncIterable<ModelEvent>
  /** The body that `generate` would send, without sending it; absent where nothing is sent. */
  preview?(request: ModelRequest, options: { stream: boolean }): Promise<Record<string, unknown>>
}

/** What a model costs, in US dollars a token, as its provider's own list says. */
export interface ModelPrice {
  input: number
  output: number
  /** Absent: as any other input. */
  cached_input?: number
}

/** A handle (`provider/model`) made callable. */
export interface ResolvedModel {
  readonly handle: string
  /** As `GET /v1/models/` lists it; `context_window` is the model's own maximum. */
  readonly info: Model
  language_model: LanguageModel
  /** The provider's batch API; absent where it is known that there is none. */
  readonly batch_calls?: BatchCalls | undefined
  /** Absent where the provider does not tell. */
  readonly price?: ModelPrice | undefined
  /** Models that were to be asked before this one, and could not answer. */
  readonly skipped?: readonly SkippedModel[]
}

/** A model that could not answer, and why. */
export interface SkippedModel {
  model: string
  code: string
  message: string
}

/** Why a provider lists no models. `status`: what it answered, if it did. */
export interface ModelListProblem {
  provider: string
  url: string
  message: string
  status?: number | undefined
}

export interface Models {
  /** Every model that can be used now. A provider that does not answer contributes none; see `problems`. */
  list(actor: Actor): Promise<{
    models: Model[]
    problems: ModelListProblem[]
    /** By handle, where the provider's list tells. */
    prices?: ReadonlyMap<string, ModelPrice>
  }>
  /** Throws `model_not_found` naming the handle and what is there. Accepts `letta/auto` for the default model. */
  resolve(actor: Actor, handle: string): Promise<ResolvedModel>
}

import type { Logprobs, StopReason, StoredMessage, UsageStatistics } from '../schema/message.ts'
import type { CompactionTrigger } from '../schema/compaction.ts'
import type { Run, Step } from '../schema/run.ts'

/** Why a turn failed, as clients are told. */
export interface TurnError {
  /** One of V1's error types: llm_error, llm_timeout, llm_rate_limit, llm_authentication, internal_error … */
  type: string
  message: string
  detail: string
}

export interface TurnResult {
  run_id: string
  status: 'completed' | 'failed' | 'cancelled'
  stop_reason: StopReason
  usage: UsageStatistics
  /** What the turn added to history after its input, in order. */
  messages: StoredMessage[]
  /** Of the last model call, when they were asked for and the provider has them. */
  logprobs: Logprobs | null
  /** Present when `status` is `failed`; `cause` is what was thrown. */
  error?: TurnError & { cause: unknown }
}

/**
 * What happens in a turn, in order: run_start, then for each step its deltas (only when tokens are streamed), its
 * whole messages and step_end, and exactly one run_end, after everything is on disk.
 */
export type AgentEvent =
  | { type: 'run_start'; run: Run }
  /** A model could not answer; before anything of the answer, another one is asked in the same step. */
  | { type: 'model_fallback'; step_id: string; from: string; to: string; code: string; reason: string }
  | { type: 'step_start'; step_id: string; message_id: string }
  | {
      type: 'reasoning_delta'
      step_id: string
      message_id: string
      text: string
      /** False for thoughts that the model wrote as text or as an argument, because it was asked to. */
      is_native?: false
    }
  /** A thought that the provider keeps to itself, whole: `data` is what it gave instead of it. */
  | {
      type: 'hidden_reasoning'
      step_id: string
      message_id: string
      state: 'redacted' | 'omitted'
      data: string | null
    }
  | { type: 'text_delta'; step_id: string; message_id: string; text: string }
  | {
      type: 'tool_call_delta'
      step_id: string
      message_id: string
      tool_call_id: string
      /** Only in the first delta of a call. */
      name: string | null
      arguments: string
      /** The call will wait for an approval, or for the client; `message_id` is that of the message that asks. */
      waits: boolean
    }
  /** The context is about to be made shorter; the summary follows as a message of role `summary`, unless it fails. */
  | {
      type: 'compaction_start'
      /** A UUID. */
      id: string
      date: string
      run_id: string
      step_id: string | null
      trigger: CompactionTrigger
      context_tokens: number
      context_window: number
    }
  /** What takes long before a call of a tool begins (packages are installed): a sentence for people, stored nowhere. */
  | { type: 'tool_progress'; tool_call_id: string; text: string }
  /** A complete message. Its parts were sent as deltas before when tokens are streamed, but tool returns never are. */
  | { type: 'message'; message: StoredMessage }
  | { type: 'step_end'; step: Step }
  | { type: 'run_end'; result: TurnResult }

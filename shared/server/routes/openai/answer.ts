import type { LettaMessage, LettaResponse, StopReason, UsageStatistics } from '../../../schema/message.ts'
import type { ChatCompletion, ChatToolCall, ChatUsage, FinishReason } from '../../../schema/openai.ts'
import { spokenBetween } from '../../spoken.ts'

/** What an answer needs to know of its request. */
export interface ChatShape {
  /** As the client named the agent. */
  model: string
  /** Names of the tools that the client runs. */
  client_tools: ReadonlySet<string>
  shows_tools: boolean
  /** Null when nothing is kept. */
  conversation_id: string | null
}

/** A turn as a chat completion. */
export function toCompletion(
  { messages, usage, stop_reason, logprobs }: LettaResponse,
  run_id: string,
  created: number,
  shape: ChatShape,
): ChatCompletion {
  const calls = messages.flatMap((message) => clientCalls(message, shape))
  const content = spokenBetween(messages)
  const thoughts = messages
    .flatMap((message) =>
      message.message_type === 'reasoning_message' ? [message.reasoning] : shownCalls(message, shape),
    )
    .join('\n')
  return {
    id: `chatcmpl-${run_id}`,
    object: 'chat.completion',
    created,
    model: shape.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: content === '' && calls.length > 0 ? null : content,
          refusal: null,
          ...(thoughts === '' ? {} : { reasoning_content: thoughts }),
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
        },
        logprobs,
        finish_reason: finishReason(stop_reason.stop_reason, calls.length > 0),
      },
    ],
    usage: chatUsage(usage),
    conversation_id: shape.conversation_id,
  }
}

/** Why a turn ended, in OpenAI's words. */
export function finishReason(reason: StopReason, calls: boolean): FinishReason {
  if (calls) return 'tool_calls'
  return reason === 'max_steps' || reason === 'max_tokens_exceeded' ? 'length' : 'stop'
}

export function chatUsage(usage: UsageStatistics): ChatUsage {
  const { prompt_tokens, completion_tokens, total_tokens, cached_input_tokens, reasoning_tokens } = usage
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens,
    prompt_tokens_details: { cached_tokens: cached_input_tokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: reasoning_tokens ?? 0 },
  }
}

/** Calls of a message that wait for the client, which runs them. */
export function clientCalls(message: LettaMessage, { client_tools }: ChatShape): ChatToolCall[] {
  if (message.message_type !== 'approval_request_message' || !Array.isArray(message.tool_calls)) return []
  return message.tool_calls
    .filter(({ name }) => client_tools.has(name))
    .map(({ tool_call_id, name, arguments: text }) => ({
      id: tool_call_id,
      type: 'function',
      function: { name, arguments: text },
    }))
}

/** Calls of the agent's own tools, for people to read. */
export function shownCalls(message: LettaMessage, { client_tools, shows_tools }: ChatShape): string[] {
  const asks = message.message_type === 'approval_request_message'
  if (!shows_tools || (!asks && message.message_type !== 'tool_call_message')) return []
  if (!Array.isArray(message.tool_calls)) return []
  return message.tool_calls
    .filter(({ name }) => !client_tools.has(name))
    .map(({ name, arguments: text }) => `[${name} ${text}]${asks ? ' (waits for approval)' : ''}`)
}

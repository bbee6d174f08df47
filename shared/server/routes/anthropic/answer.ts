import type { AnthropicAnswer, ContentBlock } from '../../../schema/anthropic.ts'
import type { LettaMessage, StopReason, UsageStatistics } from '../../../schema/message.ts'
import { textOf } from '../../spoken.ts'

/** What an answer needs to know of its request. */
export interface AnswerShape {
  run_id: string
  /** As the client named the agent. */
  model: string
  /** Names of the tools that the client runs. */
  client_tools: ReadonlySet<string>
  /** Thoughts, and calls of the agent's own tools. */
  shows_thoughts: boolean
}

/** An answer that has not begun, or all of it. */
export function toAnswer(
  { run_id, model }: AnswerShape,
  content: ContentBlock[],
  end: { stop_reason: StopReason; usage: UsageStatistics } | null,
): AnthropicAnswer {
  const calls = content.some(({ type }) => type === 'tool_use')
  return {
    id: `msg_${run_id}`,
    type: 'message',
    role: 'assistant',
    model,
    content,
    stop_reason: end && stopReason(end.stop_reason, calls),
    stop_sequence: null,
    usage: anthropicUsage(end?.usage),
  }
}

/** Why a turn ended, in Anthropic's words. */
export function stopReason(reason: StopReason, calls: boolean): 'end_turn' | 'tool_use' | 'max_tokens' {
  if (calls) return 'tool_use'
  return reason === 'max_steps' || reason === 'max_tokens_exceeded' ? 'max_tokens' : 'end_turn'
}

/** Tokens of the input that came from a cache are counted apart. */
export function anthropicUsage(usage: UsageStatistics | undefined): AnthropicAnswer['usage'] {
  const read = usage?.cached_input_tokens ?? 0
  const written = usage?.cache_write_tokens ?? 0
  return {
    input_tokens: Math.max(0, (usage?.prompt_tokens ?? 0) - read - written),
    output_tokens: usage?.completion_tokens ?? 0,
    cache_read_input_tokens: read,
    cache_creation_input_tokens: written,
  }
}

/** What a message is in an answer. */
export function blocksOf(message: LettaMessage, shape: AnswerShape): ContentBlock[] {
  if (message.message_type === 'assistant_message')
    return [{ type: 'text', text: textOf(message.content), citations: null }]
  if (message.message_type === 'reasoning_message')
    return shape.shows_thoughts ? [thought(message.reasoning)] : []
  return callsOf(message, shape)
}

/** The calls of a message: those for the client, and those of the agent's own tools as thoughts. */
export function callsOf(message: LettaMessage, shape: AnswerShape): ContentBlock[] {
  if (message.message_type !== 'approval_request_message' && message.message_type !== 'tool_call_message')
    return []
  if (!Array.isArray(message.tool_calls)) return []
  return message.tool_calls.flatMap(({ tool_call_id, name, arguments: text }): ContentBlock[] => {
    if (shape.client_tools.has(name))
      return [{ type: 'tool_use', id: tool_call_id, name, input: parsed(text) }]
    return shape.shows_thoughts ? [thought(`[${name} ${text}]`)] : []
  })
}

function thought(text: string): ContentBlock {
  return { type: 'thinking', thinking: text, signature: '' }
}

/** Models write what is no JSON now and then: the client gets it as it is. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return { arguments: text }
  }
}

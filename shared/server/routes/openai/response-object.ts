import type { LettaMessage, StopReason, UsageStatistics } from '../../../schema/message.ts'
import type { OutputItem, ResponseObject, ResponseRequest } from '../../../schema/openai-responses.ts'
import { textOf } from '../../spoken.ts'

/** What a response needs to know of its request. */
export interface ResponseShape {
  run_id: string
  /** Seconds since 1970. */
  created_at: number
  request: Pick<ResponseRequest, 'model' | 'previous_response_id' | 'metadata' | 'tools'>
  /** Null when nothing is kept. */
  conversation_id: string | null
  /** Names of the tools that the client runs. */
  client_tools: ReadonlySet<string>
  shows_tools: boolean
}

/** The id of the answer of a run, and back again. */
export const responseId = (run_id: string) => `resp_${run_id}`
export const runOfResponse = (id: string) => /^resp_(run-.+)$/.exec(id)?.[1] ?? null

/** A response without what its turn has made so far. */
export function emptyResponse(shape: ResponseShape): ResponseObject {
  const { run_id, created_at, request, conversation_id } = shape
  return {
    id: responseId(run_id),
    object: 'response',
    created_at,
    status: 'in_progress',
    model: request.model,
    output: [],
    error: null,
    incomplete_details: null,
    usage: null,
    previous_response_id: request.previous_response_id ?? null,
    conversation: conversation_id === null ? null : { id: conversation_id },
    store: conversation_id !== null,
    instructions: null,
    metadata: request.metadata ?? {},
    parallel_tool_calls: true,
    temperature: null,
    top_p: null,
    tool_choice: 'auto',
    tools: request.tools ?? [],
  }
}

/** What a response is at the end of its turn. */
export function endedResponse(
  shape: ResponseShape,
  output: OutputItem[],
  end: { stop_reason: StopReason; usage: UsageStatistics; error?: { type: string; message: string } | null },
): ResponseObject {
  const { stop_reason, usage, error } = end
  const cut = stop_reason === 'max_steps' || stop_reason === 'max_tokens_exceeded'
  return {
    ...emptyResponse(shape),
    status: error ? 'failed' : cut ? 'incomplete' : 'completed',
    output,
    error: error ? { code: 'server_error', message: error.message } : null,
    incomplete_details: cut ? { reason: 'max_output_tokens' } : null,
    usage: {
      input_tokens: usage.prompt_tokens,
      input_tokens_details: { cached_tokens: usage.cached_input_tokens ?? 0 },
      output_tokens: usage.completion_tokens,
      output_tokens_details: { reasoning_tokens: usage.reasoning_tokens ?? 0 },
      total_tokens: usage.total_tokens,
    },
  }
}

/** What a turn has made, in order. */
export function outputOf(messages: readonly LettaMessage[], shape: ResponseShape): OutputItem[] {
  const output: OutputItem[] = []
  for (const message of messages) {
    if (message.message_type === 'assistant_message')
      output.push(messageItem(message.otid ?? message.id, textOf(message.content)))
    else if (message.message_type === 'reasoning_message')
      output.push(reasoningItem(message.otid ?? message.id, message.reasoning))
    else if (message.message_type === 'tool_return_message') returned(output, message)
    else output.push(...callItems(message, shape))
  }
  return output
}

export function messageItem(id: string, text: string): Extract<OutputItem, { type: 'message' }> {
  const content = [{ type: 'output_text' as const, text, annotations: [], logprobs: [] }]
  return { type: 'message', id: `msg_${id}`, role: 'assistant', status: 'completed', content }
}

export function reasoningItem(id: string, text: string): Extract<OutputItem, { type: 'reasoning' }> {
  return { type: 'reasoning', id: `rs_${id}`, summary: [{ type: 'summary_text', text }] }
}

/** Calls of a message: those that wait for the client, and those of the agent's own tools where they are shown. */
export function callItems(message: LettaMessage, { client_tools, shows_tools }: ResponseShape): OutputItem[] {
  if (message.message_type !== 'approval_request_message' && message.message_type !== 'tool_call_message')
    return []
  if (!Array.isArray(message.tool_calls)) return []
  return message.tool_calls.flatMap(({ tool_call_id, name, arguments: text }): OutputItem[] => {
    if (client_tools.has(name)) {
      const call = { call_id: tool_call_id, name, arguments: text, status: 'completed' as const }
      return [{ type: 'function_call', id: `fc_${tool_call_id}`, ...call }]
    }
    if (!shows_tools) return []
    const call = { server_label: 'loci' as const, name, arguments: text, output: null, error: null }
    return [{ type: 'mcp_call', id: `mcp_${tool_call_id}`, ...call }]
  })
}

/** Puts what a tool has returned to its call; answers the call, null when it is not shown. */
export function returned(
  output: OutputItem[],
  message: { tool_call_id: string; tool_return: string; status: string },
): Extract<OutputItem, { type: 'mcp_call' }> | null {
  const call = output.find((item) => item.id === `mcp_${message.tool_call_id}`)
  if (call?.type !== 'mcp_call') return null
  if (message.status === 'success') call.output = message.tool_return
  else call.error = message.tool_return
  return call
}

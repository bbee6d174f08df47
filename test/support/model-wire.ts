/** OpenAI's chat completion shapes as the scripted model reads and writes them. */

/** Body of a chat completion request. */
export interface ChatBody {
  model: string
  messages: ChatMessage[]
  tools?: { type: 'function'; function: { name: string; description?: string; parameters?: unknown } }[]
  stream?: boolean
  stream_options?: { include_usage?: boolean }
  [key: string]: unknown
}

interface ChatMessage {
  role: string
  content?: unknown
  tool_calls?: { id: string; type: string; function: { name: string; arguments: string } }[]
  tool_call_id?: string
  [key: string]: unknown
}

export interface ScriptedToolCall {
  name: string
  /** An object is sent as JSON; a string as it is, also when it is not JSON. */
  arguments: Record<string, unknown> | string | null
  /** Default `call_<n>`; null sends none. */
  id?: string | null
  /** Gemini's thought signature. */
  signature?: string
}

/** An answer of the model. Text given as a list is streamed as exactly these deltas. */
export interface ScriptedAnswer {
  text?: string | string[]
  reasoning?: string | string[]
  /** What the thought is signed with (Anthropic), or encrypted as (Responses). */
  signature?: string
  /** A thought that only the provider can read (Anthropic). */
  redacted?: string
  refusal?: string
  tool_calls?: ScriptedToolCall[]
  /** Log probabilities of each delta, whether or not they were asked for. */
  logprobs?: boolean
  /** Default 'tool_calls' or 'stop'; null sends none. */
  finish_reason?: string | null
  /** Default: counts by length. Null sends none. */
  usage?: Record<string, unknown> | null
}

let calls = 0

/** The whole answer as one `chat.completion`. */
export function completionOf(answer: ScriptedAnswer, body: ChatBody): Record<string, unknown> {
  const message: Record<string, unknown> = {
    role: 'assistant',
    content: answer.text ? joined(answer.text) : null,
  }
  if (answer.reasoning) message.reasoning_content = joined(answer.reasoning)
  if (answer.refusal) message.refusal = answer.refusal
  if (answer.tool_calls) message.tool_calls = answer.tool_calls.map(callOf)
  return {
    id: 'chatcmpl-scripted',
    object: 'chat.completion',
    created: 0,
    model: body.model,
    choices: [{ index: 0, message, finish_reason: finishOf(answer) }],
    ...(answer.usage === null ? {} : { usage: answer.usage ?? usageOf(answer, body) }),
  }
}

/** The answer as SSE events (`data: …` and a blank line each), `[DONE]` last. */
export function sseEventsOf(answer: ScriptedAnswer, body: ChatBody): string[] {
  const head = { id: 'chatcmpl-scripted', object: 'chat.completion.chunk', created: 0, model: body.model }
  const chunk = (delta: unknown, finish_reason: string | null = null, token?: string) => {
    const logprobs =
      answer.logprobs && token !== undefined
        ? { content: [{ token, logprob: -0.5, bytes: null, top_logprobs: [] }], refusal: null }
        : null
    return event({ ...head, choices: [{ index: 0, delta, logprobs, finish_reason }] })
  }
  const events = [chunk({ role: 'assistant', content: '' })]
  for (const text of deltas(answer.reasoning)) events.push(chunk({ reasoning_content: text }))
  for (const text of deltas(answer.text)) events.push(chunk({ content: text }, null, text))
  if (answer.refusal) events.push(chunk({ refusal: answer.refusal }))
  for (const [index, scripted] of (answer.tool_calls ?? []).entries()) {
    const call = callOf(scripted)
    const { name, arguments: text } = call.function
    events.push(
      chunk({ tool_calls: [{ index, ...call, function: { name, arguments: text === null ? null : '' } }] }),
    )
    for (const piece of text?.match(/[^]{1,12}/g) ?? []) {
      events.push(chunk({ tool_calls: [{ index, function: { arguments: piece } }] }))
    }
  }
  events.push(chunk({}, finishOf(answer)))
  if (answer.usage !== null && body.stream_options?.include_usage) {
    events.push(event({ ...head, choices: [], usage: answer.usage ?? usageOf(answer, body) }))
  }
  return [...events, 'data: [DONE]\n\n']
}

/** One SSE event around a JSON value. */
export function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

function callOf(call: ScriptedToolCall) {
  const id = callId(call)
  return {
    ...(id === null ? {} : { id }),
    type: 'function',
    function: { name: call.name, arguments: argumentsOf(call) },
    ...(call.signature === undefined
      ? {}
      : { extra_content: { google: { thought_signature: call.signature } } }),
  }
}

/** The id of a call, made up where the script gives none; null where it sends none. */
export function callId(call: ScriptedToolCall): string | null {
  return call.id === null ? null : (call.id ?? `call_${++calls}`)
}

/** The arguments as the text that is sent. */
export function argumentsOf(call: ScriptedToolCall): string | null {
  return call.arguments === null || typeof call.arguments === 'string'
    ? call.arguments
    : JSON.stringify(call.arguments)
}

function finishOf(answer: ScriptedAnswer): string | null {
  if (answer.finish_reason !== undefined) return answer.finish_reason
  return answer.tool_calls?.length ? 'tool_calls' : 'stop'
}

/** Text given as a list, in one piece. */
export function joined(text: string | string[]): string {
  return Array.isArray(text) ? text.join('') : text
}

/** The pieces in which a text is streamed. */
export function deltas(text: string | string[] | undefined): string[] {
  return Array.isArray(text) ? text : (text?.match(/\s*\S+\s*$|\s*\S+/g) ?? (text ? [text] : []))
}

function usageOf(answer: ScriptedAnswer, body: ChatBody) {
  const prompt_tokens = Math.ceil(JSON.stringify(body.messages).length / 4)
  const completion_tokens = Math.ceil(JSON.stringify(answer.text ?? answer.tool_calls ?? '').length / 4)
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
}

/** OpenAI's Responses API as the scripted model reads and writes it: the shapes are those of the official package. */
import type { OpenAI } from 'openai'
import {
  argumentsOf,
  callId,
  type ChatBody,
  deltas,
  event,
  joined,
  type ScriptedAnswer,
} from './model-wire.ts'

type Item = OpenAI.Responses.ResponseOutputItem
type Input = OpenAI.Responses.ResponseInputItem

const KNOWN = new Set([
  'model',
  'input',
  'store',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'reasoning',
  'include',
  'text',
  'temperature',
  'max_output_tokens',
  'top_logprobs',
  'stream',
])

/** What the real API would refuse in this request; null when it would take it. */
export function refusedByResponses(body: ChatBody): string | null {
  const asked = body as unknown as OpenAI.Responses.ResponseCreateParams
  const unknown = Object.keys(body).find((key) => !KNOWN.has(key))
  if (unknown !== undefined) return `Unknown parameter: '${unknown}'.`
  if (asked.store !== false) return 'store is not false'
  if (!Array.isArray(asked.input)) return 'input is no list'
  const thinks = asked.reasoning !== undefined
  if (thinks && !asked.include?.includes('reasoning.encrypted_content')) return 'thoughts would be lost'
  if (thinks && asked.temperature !== undefined) return "Unsupported parameter: 'temperature'"
  for (const tool of asked.tools ?? [])
    if (tool.type === 'function' && typeof tool.strict !== 'boolean') return 'strict is not said'
  return refusedInput(asked.input)
}

function refusedInput(input: Input[]): string | null {
  const open = new Set<string>()
  for (const [i, item] of input.entries()) {
    if (item.type === 'reasoning') {
      if (!item.encrypted_content)
        return `Item '${item.id}' not found. Items are not persisted when store is false.`
      const next = input[i + 1]
      const follows = next && (next.type === 'function_call' || next.type === 'reasoning' || 'role' in next)
      if (!follows || ('role' in next && next.role !== 'assistant'))
        return `Item '${item.id}' of type 'reasoning' was provided without its required following item.`
    }
    if (item.type === 'function_call') open.add(item.call_id)
    if (item.type === 'function_call_output' && !open.delete(String(item.call_id)))
      return `No tool call found for function call output with call_id ${item.call_id}.`
  }
  return open.size > 0 ? `No tool output found for function call ${[...open].join()}.` : null
}

/** The whole answer as one response. */
export function responseOf(answer: ScriptedAnswer, body: ChatBody): OpenAI.Responses.Response {
  const output_text = joined(answer.text ?? '')
  return { ...headOf(body), ...endOf(answer), output: itemsOf(answer), output_text, ...usageOf(answer, body) }
}

/** The answer as SSE events. */
export function responseEventsOf(answer: ScriptedAnswer, body: ChatBody): string[] {
  let sequence_number = 0
  const n = () => sequence_number++
  const events: OpenAI.Responses.ResponseStreamEvent[] = [
    { type: 'response.created', sequence_number: n(), response: headOf(body) },
    { type: 'response.in_progress', sequence_number: n(), response: headOf(body) },
  ]
  const items = itemsOf(answer)
  for (const [output_index, item] of items.entries()) {
    const at = { output_index, item_id: item.id ?? '' }
    events.push({
      type: 'response.output_item.added',
      sequence_number: n(),
      output_index,
      item: emptied(item),
    })
    for (const said of saidOf(item, answer)) events.push({ ...said, ...at, sequence_number: n() })
    events.push({ type: 'response.output_item.done', sequence_number: n(), output_index, item })
  }
  const response = responseOf(answer, body)
  const type = response.status === 'incomplete' ? 'response.incomplete' : 'response.completed'
  events.push({ type, sequence_number: n(), response })
  return events.map((said) => `event: ${said.type}\n${event(said)}`)
}

type Said = Unplaced<
  Extract<
    OpenAI.Responses.ResponseStreamEvent,
    {
      item_id: string
      type: `response.${'output_text' | 'reasoning_summary' | 'content_part' | 'function'}${string}`
    }
  >
>
type Unplaced<T> = T extends unknown ? Omit<T, 'item_id' | 'output_index' | 'sequence_number'> : never

/** What comes between the beginning of an item and its end. */
function saidOf(item: Item, answer: ScriptedAnswer): Said[] {
  if (item.type === 'reasoning') {
    const text = joined(answer.reasoning ?? '')
    const at = { summary_index: 0 }
    if (text === '') return []
    return [
      { type: 'response.reasoning_summary_part.added', part: { type: 'summary_text', text: '' }, ...at },
      ...deltas(answer.reasoning).map((delta) => ({
        type: 'response.reasoning_summary_text.delta' as const,
        delta,
        ...at,
      })),
      { type: 'response.reasoning_summary_text.done', text, ...at },
      { type: 'response.reasoning_summary_part.done', part: { type: 'summary_text', text }, ...at },
    ]
  }
  if (item.type === 'message') {
    const at = { content_index: 0 }
    const part = { type: 'output_text' as const, annotations: [] }
    const text = joined(answer.text ?? '')
    return [
      { type: 'response.content_part.added', part: { ...part, text: '' }, ...at },
      ...deltas(answer.text).map((delta) => ({
        type: 'response.output_text.delta' as const,
        delta,
        logprobs: answer.logprobs ? [{ token: delta, logprob: -0.5, top_logprobs: [] }] : [],
        ...at,
      })),
      { type: 'response.output_text.done', text, logprobs: [], ...at },
      { type: 'response.content_part.done', part: { ...part, text }, ...at },
    ]
  }
  if (item.type !== 'function_call') return []
  return [
    ...(item.arguments.match(/[^]{1,12}/g) ?? []).map((delta) => ({
      type: 'response.function_call_arguments.delta' as const,
      delta,
    })),
    { type: 'response.function_call_arguments.done', arguments: item.arguments },
  ]
}

function emptied(item: Item): Item {
  if (item.type === 'reasoning') return { ...item, summary: [], encrypted_content: '' }
  if (item.type === 'message') return { ...item, content: [], status: 'in_progress' }
  if (item.type === 'function_call') return { ...item, arguments: '', status: 'in_progress' }
  return item
}

function itemsOf(answer: ScriptedAnswer): Item[] {
  const out: Item[] = []
  if (answer.reasoning !== undefined) {
    const text = joined(answer.reasoning)
    out.push({
      type: 'reasoning',
      id: 'rs_scripted',
      summary: text === '' ? [] : [{ type: 'summary_text', text }],
      encrypted_content: answer.signature ?? 'sealed',
    })
  }
  if (answer.text !== undefined)
    out.push({
      type: 'message',
      id: 'msg_scripted',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: joined(answer.text), annotations: [] }],
    })
  for (const call of answer.tool_calls ?? [])
    out.push({
      type: 'function_call',
      id: `fc_${call.name}`,
      call_id: callId(call) ?? '',
      name: call.name,
      arguments: argumentsOf(call) ?? '',
      status: 'completed',
    })
  return out
}

function headOf(body: ChatBody): OpenAI.Responses.Response {
  return {
    id: 'resp_scripted',
    object: 'response',
    created_at: 0,
    model: body.model,
    status: 'in_progress',
    output: [],
    output_text: '',
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: null,
    parallel_tool_calls: true,
    temperature: null,
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    access_programs: null,
  }
}

function endOf(answer: ScriptedAnswer): Pick<OpenAI.Responses.Response, 'status' | 'incomplete_details'> {
  if (answer.finish_reason !== 'length') return { status: 'completed', incomplete_details: null }
  return { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }
}

function usageOf(answer: ScriptedAnswer, body: ChatBody): Pick<OpenAI.Responses.Response, 'usage'> {
  if (answer.usage === null) return {}
  const input_tokens = Math.ceil(JSON.stringify(body.input).length / 4)
  const output_tokens = Math.ceil(JSON.stringify(answer.text ?? answer.tool_calls ?? '').length / 4)
  const usage = {
    input_tokens,
    output_tokens,
    total_tokens: input_tokens + output_tokens,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens_details: { reasoning_tokens: 0 },
    ...answer.usage,
  }
  return { usage }
}

/** Anthropic's Messages API as the scripted model reads and writes it: the shapes are those of the official package. */
import type { Anthropic } from '@anthropic-ai/sdk'
import type { IncomingHttpHeaders } from 'node:http'
import { argumentsOf, callId, type ChatBody, deltas, joined, type ScriptedAnswer } from './model-wire.ts'

type Block = Anthropic.ContentBlock
type Param = Anthropic.ContentBlockParam

const KNOWN = new Set([
  'model',
  'max_tokens',
  'messages',
  'system',
  'tools',
  'tool_choice',
  'thinking',
  'temperature',
  'output_config',
  'stream',
])

/** What the real API would refuse in this request; null when it would take it. */
export function refusedByAnthropic(body: ChatBody, headers: IncomingHttpHeaders): string | null {
  try {
    checkRequest(body as unknown as Anthropic.MessageCreateParams, headers)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

function checkRequest(body: Anthropic.MessageCreateParams, headers: IncomingHttpHeaders): void {
  demand(headers['anthropic-version'] === '2023-06-01', 'anthropic-version is missing')
  for (const key of Object.keys(body)) demand(KNOWN.has(key), `${key}: Extra inputs are not permitted`)
  demand(Number.isInteger(body.max_tokens) && body.max_tokens > 0, 'max_tokens: Field required')
  const marks = JSON.stringify(body).split('"cache_control"').length - 1
  demand(marks <= 4, `A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`)
  const thinking = body.thinking?.type === 'enabled' || body.thinking?.type === 'adaptive'
  if (body.thinking?.type === 'enabled') {
    demand(body.thinking.budget_tokens >= 1024, 'thinking.budget_tokens: at least 1024')
    demand(body.max_tokens > body.thinking.budget_tokens, 'max_tokens must be greater than the budget')
  }
  if (thinking) {
    demand(
      body.temperature === undefined || body.temperature === 1,
      'temperature may only be 1 with thinking',
    )
    const forced = body.tool_choice?.type === 'any' || body.tool_choice?.type === 'tool'
    demand(!forced, 'Thinking may not be enabled when tool_choice forces tool use.')
  }
  demand(body.tool_choice === undefined || (body.tools?.length ?? 0) > 0, 'tool_choice without tools')
  for (const block of Array.isArray(body.system) ? body.system : [])
    demand(block.text.trim() !== '', 'system: text content blocks must be non-empty')
  checkMessages(body.messages, body.thinking?.type === 'enabled')
}

function checkMessages(messages: Anthropic.MessageParam[], budget: boolean): void {
  demand(messages[0]?.role === 'user', 'messages: first message must use the "user" role')
  demand(messages.at(-1)?.role === 'user', 'the conversation must end with a user message')
  const ids = new Set<string>()
  for (const [i, message] of messages.entries()) {
    demand(i === 0 || messages[i - 1]?.role !== message.role, `messages.${i}: roles must alternate`)
    const content = blocks(message)
    demand(content.length > 0, `messages.${i}: content must not be empty`)
    for (const block of content) {
      if (block.type === 'text')
        demand(block.text.trim() !== '', `messages.${i}: text must be non-whitespace`)
      if (block.type === 'thinking')
        demand(block.signature !== '', `messages.${i}: thinking without signature`)
    }
    if (message.role === 'user') {
      const before = i > 0 ? callsIn(messages[i - 1]) : []
      const results = content.filter((block) => block.type === 'tool_result')
      demand(
        content.slice(0, results.length).every((block) => block.type === 'tool_result'),
        `messages.${i}: tool_result blocks must come first`,
      )
      same(
        before,
        results.map((block) => block.tool_use_id),
        `messages.${i}: calls and results`,
      )
      continue
    }
    for (const id of callsIn(message)) {
      demand(/^[a-zA-Z0-9_-]+$/.test(id), `messages.${i}: tool_use.id '${id}'`)
      demand(!ids.has(id), `messages.${i}: tool_use ids must be unique`)
      ids.add(id)
    }
    const last = i === messages.length - 2 && callsIn(message).length > 0
    if (budget && last)
      demand(
        content[0]?.type === 'thinking' || content[0]?.type === 'redacted_thinking',
        `messages.${i}: Expected \`thinking\` or \`redacted_thinking\`, but found \`${content[0]?.type}\``,
      )
  }
}

function blocks(message: Anthropic.MessageParam | undefined): Param[] {
  if (typeof message?.content === 'string') return [{ type: 'text', text: message.content }]
  return message?.content ?? []
}

function callsIn(message: Anthropic.MessageParam | undefined): string[] {
  return blocks(message).flatMap((block) => {
    if (block.type !== 'tool_use') return []
    demand(
      typeof block.input === 'object' && block.input !== null,
      'tool_use.input: Input should be an object',
    )
    return [block.id]
  })
}

function same(a: string[], b: string[], what: string): void {
  const [one, two] = [a, b].map((ids) => ids.toSorted().join())
  demand(one === two, `${what} do not match: ${one} / ${two}`)
}

function demand(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise)
}

/** The whole answer as one message. */
export function messageOf(answer: ScriptedAnswer, body: ChatBody): Partial<Anthropic.Message> {
  const usage = answer.usage === null ? {} : { usage: usageOf(answer, body) }
  return { ...headOf(body), content: contentOf(answer), ...endOf(answer), ...usage }
}

/** The answer as SSE events. */
export function messageEventsOf(answer: ScriptedAnswer, body: ChatBody): string[] {
  const usage = { ...usageOf(answer, body), output_tokens: 1 }
  const events: Anthropic.RawMessageStreamEvent[] = [
    { type: 'message_start', message: { ...headOf(body), content: [], usage } },
  ]
  for (const [index, block] of contentOf(answer).entries()) events.push(...blockEvents(index, block, answer))
  const { stop_reason, stop_sequence, stop_details, container } = endOf(answer)
  events.push({
    type: 'message_delta',
    delta: { stop_reason, stop_sequence, stop_details, container },
    usage: {
      output_tokens: usageOf(answer, body).output_tokens,
      input_tokens: null,
      cache_creation_input_tokens: null,
      cache_read_input_tokens: null,
      output_tokens_details: null,
      server_tool_use: null,
    },
  })
  events.push({ type: 'message_stop' })
  const known = (key: string, value: unknown) =>
    key === 'usage' && answer.usage === null ? undefined : value
  const said = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event, known)}\n\n`)
  said.splice(1, 0, 'event: ping\ndata: {"type": "ping"}\n\n')
  return said
}

function blockEvents(index: number, block: Block, answer: ScriptedAnswer): Anthropic.RawMessageStreamEvent[] {
  const start = (content_block: Block) => ({ type: 'content_block_start' as const, index, content_block })
  const delta = (piece: Anthropic.RawContentBlockDelta) => ({
    type: 'content_block_delta' as const,
    index,
    delta: piece,
  })
  const stop = { type: 'content_block_stop' as const, index }
  switch (block.type) {
    case 'thinking':
      return [
        start({ ...block, thinking: '', signature: '' }),
        ...deltas(answer.reasoning).map((thinking) => delta({ type: 'thinking_delta', thinking })),
        delta({ type: 'signature_delta', signature: block.signature }),
        stop,
      ]
    case 'text':
      return [
        start({ ...block, text: '' }),
        ...deltas(answer.text).map((text) => delta({ type: 'text_delta', text })),
        stop,
      ]
    case 'tool_use': {
      const text = scriptedInput.get(block) ?? ''
      return [
        start({ ...block, input: {} }),
        ...(text.match(/[^]{1,12}/g) ?? []).map((partial_json) =>
          delta({ type: 'input_json_delta', partial_json }),
        ),
        stop,
      ]
    }
    default:
      return [start(block), stop]
  }
}

/** The text of an input, which need not be JSON in a script. */
const scriptedInput = new WeakMap<object, string>()

function contentOf(answer: ScriptedAnswer): Block[] {
  const out: Block[] = []
  if (answer.reasoning !== undefined)
    out.push({
      type: 'thinking',
      thinking: joined(answer.reasoning),
      signature: answer.signature ?? 'signed',
    })
  if (answer.redacted !== undefined) out.push({ type: 'redacted_thinking', data: answer.redacted })
  if (answer.text !== undefined) out.push({ type: 'text', text: joined(answer.text), citations: null })
  for (const call of answer.tool_calls ?? []) {
    const text = argumentsOf(call) ?? ''
    const block: Anthropic.ToolUseBlock = {
      type: 'tool_use',
      id: callId(call) ?? '',
      name: call.name,
      input: typeof call.arguments === 'object' ? call.arguments : {},
      caller: { type: 'direct' },
      toolset_name: null,
    }
    scriptedInput.set(block, text)
    out.push(block)
  }
  return out
}

function headOf(body: ChatBody) {
  return {
    id: 'msg_scripted',
    type: 'message' as const,
    role: 'assistant' as const,
    model: body.model,
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
  }
}

function endOf(answer: ScriptedAnswer) {
  const reason =
    answer.finish_reason === undefined ? null : (answer.finish_reason as Anthropic.StopReason | null)
  return {
    stop_reason:
      answer.finish_reason === undefined ? (answer.tool_calls?.length ? 'tool_use' : 'end_turn') : reason,
    stop_sequence: null,
    stop_details: null,
    container: null,
  } as const
}

function usageOf(answer: ScriptedAnswer, body: ChatBody): Anthropic.Usage {
  return {
    cache_creation: null,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    inference_geo: null,
    input_tokens: Math.ceil(JSON.stringify(body.messages).length / 4),
    output_tokens: Math.ceil(JSON.stringify(answer.text ?? answer.tool_calls ?? '').length / 4),
    output_tokens_details: null,
    server_tool_use: null,
    service_tier: 'standard',
    speed: null,
    ...(answer.usage as Partial<Anthropic.Usage> | null | undefined),
  }
}

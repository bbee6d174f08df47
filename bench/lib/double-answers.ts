/** What the model double reads of a chat completion request. */
export interface ChatBody {
  model: string
  messages: { role: string; content?: string | { type: string; text?: string }[] | null }[]
  stream?: boolean
}

/** Tokens of an answer that nobody asked to be longer. */
const DEFAULT_TOKENS = 8

/** The text of every token. */
export const TOKEN = 'word '

/** What the double passes to the tools it is told to call. */
const TOOL_ARGUMENTS: Record<string, object> = {
  conversation_search: { query: 'lighthouse' },
  memory_insert: { label: 'human', new_string: 'Likes numbers.' },
}

/** Rendered answers; there are few different ones. */
const rendered = new Map<string, Buffer>()

/** The whole answer to a request, as JSON or as an event stream. */
export function answerOf(body: ChatBody): Buffer {
  const last = body.messages.at(-1)
  const text = last?.role === 'user' ? textOf(last.content) : ''
  const tool = /CALL (\w+)/.exec(text)?.[1]
  const tokens = Number(/TOKENS (\d+)/.exec(text)?.[1] ?? DEFAULT_TOKENS)
  const key = `${body.stream === true} ${tool ?? tokens}`
  let bytes = rendered.get(key)
  if (!bytes) {
    bytes = Buffer.from(body.stream === true ? eventsOf(tool, tokens) : completionOf(tool, tokens))
    rendered.set(key, bytes)
  }
  return bytes
}

/** The answer in pieces, one to be sent each `pace_ms`, when a stream asks for that (`PACE n`); null: all of it at once. */
export function pacedAnswerOf(body: ChatBody): { pieces: string[]; pace_ms: number } | null {
  const last = body.messages.at(-1)
  const pace = last?.role === 'user' ? /PACE (\d+)/.exec(textOf(last.content))?.[1] : undefined
  if (pace === undefined || body.stream !== true) return null
  return {
    pieces: answerOf(body)
      .toString('utf8')
      .split(/(?<=\n\n)/),
    pace_ms: Number(pace),
  }
}

function textOf(content: ChatBody['messages'][number]['content']): string {
  if (typeof content === 'string') return content
  return (content ?? []).map((part) => part.text ?? '').join('')
}

const head = { id: 'chatcmpl-bench', created: 1_750_000_000, model: 'bench' }

function usageOf(tokens: number) {
  return { prompt_tokens: 100, completion_tokens: tokens, total_tokens: 100 + tokens }
}

function callOf(tool: string) {
  const args = JSON.stringify(TOOL_ARGUMENTS[tool] ?? {})
  return { id: 'call_bench', type: 'function', function: { name: tool, arguments: args } }
}

function completionOf(tool: string | undefined, tokens: number): string {
  const message =
    tool === undefined
      ? { role: 'assistant', content: TOKEN.repeat(tokens) }
      : { role: 'assistant', content: null, tool_calls: [callOf(tool)] }
  const finish_reason = tool === undefined ? 'stop' : 'tool_calls'
  const choices = [{ index: 0, message, finish_reason }]
  return JSON.stringify({ ...head, object: 'chat.completion', choices, usage: usageOf(tokens) })
}

function eventsOf(tool: string | undefined, tokens: number): string {
  const event = (value: object) =>
    `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', ...value })}\n\n`
  const chunk = (delta: object, finish_reason: string | null = null) =>
    event({ choices: [{ index: 0, delta, finish_reason }] })
  const middle =
    tool === undefined
      ? chunk({ content: TOKEN }).repeat(tokens)
      : chunk({ tool_calls: [{ index: 0, ...callOf(tool) }] })
  return [
    chunk({ role: 'assistant', content: '' }),
    middle,
    chunk({}, tool === undefined ? 'stop' : 'tool_calls'),
    event({ choices: [], usage: usageOf(tokens) }),
    'data: [DONE]\n\n',
  ].join('')
}

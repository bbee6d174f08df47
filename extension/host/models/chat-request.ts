import type { EditorInputPart, EditorMessage, EditorRequest } from './editor-models.ts'
import { Refusal } from './refusals.ts'

/** A chat completion as it is asked for. */
export interface ChatRequest {
  model: string
  stream: boolean
  include_usage: boolean
  request: EditorRequest
}

type Json = Record<string, unknown>

/** What an option of OpenAI's is called by the editor's models, which pass them on as they are. */
const OPTIONS = [
  'temperature',
  'top_p',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'seed',
  'frequency_penalty',
  'presence_penalty',
  'reasoning_effort',
  'response_format',
]
const CALL_A_TOOL = 'Answer with a call of one of your tools.'

/**
 * Reads a body of `POST /chat/completions`. What the editor's models do not know is said with what they do: a system
 * message is a user's, "call any tool" is a sentence. Throws `Refusal` (400) naming the place that is wrong.
 */
export function readChatRequest(body: unknown): ChatRequest {
  const json = object(body, 'the body')
  if (typeof json['model'] !== 'string' || json['model'] === '') throw wrong('model', 'the id of a model')
  if (json['n'] !== undefined && json['n'] !== null && json['n'] !== 1) throw wrong('n', '1')
  const messages = list(json['messages'], 'messages').flatMap((message, index) =>
    messagesOf(object(message, `messages.${index}`), `messages.${index}`),
  )
  const joined = joinResults(messages.filter(({ parts }) => parts.length > 0))
  if (joined.length === 0) throw wrong('messages', 'at least one that says something')
  const { tools, must_call, hint } = toolsOf(json)
  if (hint) joined.push({ role: 'user', parts: [{ type: 'text', text: CALL_A_TOOL }] })
  const options = Object.fromEntries(
    OPTIONS.flatMap((name) => (json[name] == null ? [] : [[name, json[name]] as const])),
  )
  const usage = json['stream_options'] as Json | null | undefined
  return {
    model: json['model'],
    stream: json['stream'] === true,
    include_usage: usage?.['include_usage'] === true,
    request: { messages: joined, tools, must_call, options },
  }
}

function messagesOf(message: Json, at: string): EditorMessage[] {
  switch (message['role']) {
    case 'system':
    case 'developer':
    case 'user':
      return [{ role: 'user', parts: contentOf(message['content'], `${at}.content`) }]
    case 'assistant': {
      const calls = list(message['tool_calls'] ?? [], `${at}.tool_calls`).map((call, index) =>
        callOf(object(call, `${at}.tool_calls.${index}`), `${at}.tool_calls.${index}`),
      )
      return [{ role: 'assistant', parts: [...contentOf(message['content'], `${at}.content`), ...calls] }]
    }
    case 'tool': {
      const id = message['tool_call_id']
      if (typeof id !== 'string') throw wrong(`${at}.tool_call_id`, 'the id of a call')
      const text = contentOf(message['content'], `${at}.content`)
        .flatMap((part) => (part.type === 'text' ? [part.text] : []))
        .join('\n')
      return [{ role: 'user', parts: [{ type: 'tool_result', id, text }] }]
    }
    default:
      throw wrong(`${at}.role`, 'system, developer, user, assistant or tool')
  }
}

/** Results of parallel calls are one message: models want all of them next after the calls. */
function joinResults(messages: EditorMessage[]): EditorMessage[] {
  const isResult = (message: EditorMessage | undefined) =>
    message?.parts.every(({ type }) => type === 'tool_result') ?? false
  const out: EditorMessage[] = []
  for (const message of messages) {
    const last = out.at(-1)
    if (last && isResult(last) && isResult(message)) last.parts.push(...message.parts)
    else out.push(message)
  }
  return out
}

function contentOf(content: unknown, at: string): EditorInputPart[] {
  if (content == null || content === '') return []
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return list(content, at).flatMap((item, index): EditorInputPart[] => {
    const part = object(item, `${at}.${index}`)
    const { type } = part
    const text = type === 'refusal' ? part['refusal'] : part['text']
    if ((type === 'text' || type === 'refusal') && typeof text === 'string')
      return text === '' ? [] : [{ type: 'text', text }]
    if (type === 'image_url') return [imageOf(part['image_url'], `${at}.${index}.image_url`)]
    throw wrong(`${at}.${index}.type`, 'text or image_url')
  })
}

function imageOf(value: unknown, at: string): EditorInputPart {
  const url = typeof value === 'string' ? value : object(value, at)['url']
  const match = /^data:(image\/[a-z0-9.+-]+);base64,(.*)$/is.exec(typeof url === 'string' ? url : '')
  if (!match?.[1] || match[2] === undefined)
    throw wrong(at, 'a data: URL, because the editor fetches no images')
  return { type: 'image', media_type: match[1].toLowerCase(), bytes: Buffer.from(match[2], 'base64') }
}

function callOf(call: Json, at: string): EditorInputPart {
  const { name, arguments: text } = object(call['function'], `${at}.function`)
  const { id } = call
  if (typeof id !== 'string' || typeof name !== 'string') throw wrong(at, 'a call with id and name')
  return { type: 'tool_call', id, name, input: inputOf(text) }
}

/** Arguments that are no JSON object were written by a model: they go back as they were, in an object. */
function inputOf(text: unknown): object {
  if (typeof text !== 'string' || text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Below.
  }
  return { arguments: text }
}

function toolsOf(json: Json): { tools: EditorRequest['tools']; must_call: boolean; hint: boolean } {
  const choice = json['tool_choice'] ?? 'auto'
  const all = list(json['tools'] ?? [], 'tools').map((tool, index) => {
    const { name, description, parameters } = object(
      object(tool, `tools.${index}`)['function'],
      `tools.${index}.function`,
    )
    if (typeof name !== 'string') throw wrong(`tools.${index}.function.name`, 'a name')
    return {
      name,
      description: typeof description === 'string' ? description : '',
      inputSchema: parameters == null ? { type: 'object' } : object(parameters, `tools.${index}.parameters`),
    }
  })
  if (choice === 'none' || all.length === 0) return { tools: [], must_call: false, hint: false }
  if (choice === 'auto') return { tools: all, must_call: false, hint: false }
  // The editor knows "must call" for one tool alone.
  if (choice === 'required') return { tools: all, must_call: all.length === 1, hint: all.length > 1 }
  const wanted = object(object(choice, 'tool_choice')['function'], 'tool_choice.function')['name']
  const tools = all.filter(({ name }) => name === wanted)
  if (tools.length === 0) throw wrong('tool_choice', 'the name of one of the tools')
  return { tools, must_call: true, hint: false }
}

function object(value: unknown, at: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(at, 'an object')
  return value as Json
}

function list(value: unknown, at: string): unknown[] {
  if (!Array.isArray(value)) throw wrong(at, 'a list')
  return value
}

function wrong(at: string, expected: string): Refusal {
  return new Refusal(400, 'invalid_request_error', `${at}: expected ${expected}.`)
}

import type { ModelEvent, ModelUsage } from '../core/ports/models.ts'
import { type Logprobs, logprobs } from '../schema/message.ts'
import type { AnswerDecoder } from './answer-stream.ts'
import { count, type Json } from './json.ts'

type Finish = ModelEvent & { type: 'finish' }

/** Reads a chat completion. */
export class ChatDecoder implements AnswerDecoder {
  readonly name = 'chat completion'
  /** Only `[DONE]` tells: usage comes after the reason. */
  readonly ended = false
  /** Something that counts as an answer was said. */
  spoke = false
  /** It came in one piece: what it holds is complete. */
  #whole = false
  #calls = 0
  #index = new Map<number | string, number>()
  #ids: string[] = []
  #arguments: string[] = []
  #last = -1
  #finish: string | null = null
  #refused = false
  #usage: ModelUsage | null = null
  #logprobs: Logprobs | null = null

  /** The model said why it stopped. */
  get finished(): boolean {
    return this.#finish !== null
  }

  errorOf(chunk: Json): unknown {
    return chunk.error
  }

  readWhole(body: Json, out: ModelEvent[]): boolean {
    if (!isCompletion(body)) return false
    this.#whole = true
    this.read(body, out)
    return true
  }

  read(chunk: Json, out: ModelEvent[]): void {
    const usage = chunk.usage ?? (chunk.x_groq as Json | undefined)?.usage
    if (usage) this.#usage = toUsage(usage as Json)
    const choice = Array.isArray(chunk.choices) ? (chunk.choices[0] as Json | undefined) : undefined
    if (!choice) return
    const delta = (choice.delta ?? choice.message) as Json | null | undefined
    if (delta) this.#readDelta(delta, out)
    if (choice.logprobs) this.#readLogprobs(choice.logprobs)
    if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '')
      this.#finish = choice.finish_reason
  }

  finish(): Finish {
    const known = this.#logprobs
    return { type: 'finish', reason: this.#reason(), usage: this.#usage, ...(known && { logprobs: known }) }
  }

  /** Of a stream each chunk has those of its own tokens; what is not in the known shape is left out. */
  #readLogprobs(value: unknown): void {
    const parsed = logprobs.safeParse(value)
    if (!parsed.success) return
    const all = (this.#logprobs ??= { content: null, refusal: null })
    for (const key of ['content', 'refusal'] as const) {
      const more = parsed.data[key]
      if (more) (all[key] ??= []).push(...more)
    }
  }

  #reason(): Finish['reason'] {
    if (this.#refused) return 'content_filter'
    switch (this.#finish) {
      case 'length':
      case 'max_tokens':
        return 'length'
      case 'content_filter':
        return 'content_filter'
      case 'stop':
      case 'tool_calls':
      case 'function_call':
      case 'end_turn':
      case 'eos':
      case null:
        if (this.#calls > 0) return 'tool_calls'
        return this.spoke || this.#finish !== null ? 'stop' : 'unknown'
      default:
        return this.#calls > 0 ? 'tool_calls' : 'unknown'
    }
  }

  #readDelta(delta: Json, out: ModelEvent[]): void {
    const thought = delta.reasoning_content ?? delta.reasoning
    if (typeof thought === 'string' && thought !== '') out.push({ type: 'reasoning', text: thought })
    const text = typeof delta.content === 'string' ? delta.content : partsText(delta.content, out)
    if (text !== '') {
      this.spoke = true
      out.push({ type: 'text', text })
    }
    if (typeof delta.refusal === 'string' && delta.refusal !== '') {
      this.spoke = this.#refused = true
      out.push({ type: 'text', text: delta.refusal })
    }
    if (Array.isArray(delta.tool_calls)) {
      for (const [position, call] of (delta.tool_calls as Json[]).entries())
        this.#readCall(call, position, out)
    }
  }

  /**
   * Calls are told apart by index; some providers leave it out, and some use one index for several calls, where only a
   * new id, a new name, or a new object after one that is complete, begins the next call. In an answer in one piece every
   * item is a call of its own.
   */
  #readCall(call: Json, position: number, out: ModelEvent[]): void {
    const fn = (call.function ?? {}) as Json
    const id = typeof call.id === 'string' && call.id !== '' ? call.id : undefined
    const name = typeof fn.name === 'string' && fn.name !== '' ? fn.name : undefined
    const text = argumentsText(fn.arguments)
    const signature = signatureOf(call)
    const slot = typeof call.index === 'number' ? call.index : (id ?? (name ? `new ${this.#calls}` : null))
    let index = slot === null ? (this.#last < 0 ? position : this.#last) : this.#index.get(slot)
    const known = index === undefined ? undefined : this.#ids[index]
    const complete = () => index !== undefined && isJson(this.#arguments[index] ?? '')
    const next = () => (id === undefined ? text !== '' : /^\s*\{/.test(text)) && complete()
    const other = this.#whole || (name !== undefined && ((id !== undefined && id !== known) || next()))
    if (index === undefined || known === undefined || other) {
      index = this.#calls++
      const given = id ?? `call_${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`
      this.#ids[index] = given
      this.#arguments[index] = text
      if (slot !== null) this.#index.set(slot, index)
      this.#last = index
      this.spoke = true
      out.push({ type: 'tool_call', index, id: given, name: name ?? '', arguments: text, ...signature })
      return
    }
    this.#last = index
    if (text === '' && !signature) return
    this.#arguments[index] += text
    out.push({ type: 'tool_call', index, arguments: text, ...signature })
  }
}

/** Gemini signs its calls, and refuses the next request without the signature. */
function signatureOf(call: Json): { signature: string } | null {
  const google = (call.extra_content as Json | null | undefined)?.google as Json | null | undefined
  const signature = google?.thought_signature
  return typeof signature === 'string' && signature !== '' ? { signature } : null
}

/** `choices[0].message` with content that is text, parts or nothing, and calls that are a list. */
function isCompletion(body: Json): boolean {
  const choice = Array.isArray(body.choices) ? (body.choices[0] as Json | null | undefined) : undefined
  const message = choice?.message
  if (typeof message !== 'object' || message === null) return false
  const { content, tool_calls } = message as Json
  const known = ['content', 'tool_calls', 'refusal', 'reasoning', 'reasoning_content', 'role'].some(
    (key) => key in message,
  )
  return (
    known &&
    (content == null || typeof content === 'string' || Array.isArray(content)) &&
    (tool_calls == null || Array.isArray(tool_calls))
  )
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

function argumentsText(value: unknown): string {
  if (typeof value === 'string') return value
  return value === null || value === undefined ? '' : JSON.stringify(value)
}

/** Mistral's thinking models send content as a list of parts. */
function partsText(content: unknown, out: ModelEvent[]): string {
  if (!Array.isArray(content)) return ''
  let text = ''
  for (const part of content as Json[]) {
    if (typeof part.text === 'string') text += part.text
    else if (Array.isArray(part.thinking)) {
      const thought = (part.thinking as Json[])
        .map((piece) => (typeof piece.text === 'string' ? piece.text : ''))
        .join('')
      if (thought !== '') out.push({ type: 'reasoning', text: thought })
    }
  }
  return text
}

function toUsage(usage: Json): ModelUsage {
  const prompt = (usage.prompt_tokens_details ?? {}) as Json
  const completion = (usage.completion_tokens_details ?? {}) as Json
  const prompt_tokens = count(usage.prompt_tokens) ?? 0
  const completion_tokens = count(usage.completion_tokens) ?? 0
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: count(usage.total_tokens) ?? prompt_tokens + completion_tokens,
    cached_input_tokens: count(prompt.cached_tokens) ?? count(usage.prompt_cache_hit_tokens),
    cache_write_tokens: count(prompt.cache_write_tokens) ?? count(prompt.cache_creation_tokens),
    reasoning_tokens: count(completion.reasoning_tokens),
  }
}

import type { ModelEvent, ModelUsage } from '../core/ports/models.ts'
import { type Logprobs, logprobs as logprobsSchema } from '../schema/message.ts'
import type { AnswerDecoder } from './answer-stream.ts'
import { count, type Json, object, text } from './json.ts'
import { thoughtSignature } from './responses-thoughts.ts'

type Finish = ModelEvent & { type: 'finish' }

/** What is known of an output item while it is streamed. */
interface Output {
  type: string
  /** Of a call: its place among the calls. */
  call: number
  /** What has come of it as deltas. */
  said: string
}

/** Reads a response of OpenAI's Responses API. */
export class ResponseDecoder implements AnswerDecoder {
  readonly name = 'response'
  spoke = false
  ended = false
  #calls = 0
  #outputs = new Map<number, Output>()
  #status: string | null = null
  #cut: string | null = null
  #refused = false
  #usage: ModelUsage | null = null
  #logprobs: NonNullable<Logprobs['content']> = []

  get finished(): boolean {
    return this.#status !== null
  }

  errorOf(chunk: Json): unknown {
    if (chunk.type === 'error') return chunk.error ?? { message: chunk.message, code: chunk.code }
    if (chunk.type === 'response.failed') return errorOf(object(chunk.response))
    return chunk.error ?? (chunk.status === 'failed' ? errorOf(chunk) : null)
  }

  readWhole(body: Json, out: ModelEvent[]): boolean {
    if (!Array.isArray(body.output)) return false
    this.#take(body, out)
    return true
  }

  read(chunk: Json, out: ModelEvent[]): void {
    const index = typeof chunk.output_index === 'number' ? chunk.output_index : 0
    const delta = text(chunk.delta)
    switch (chunk.type) {
      case 'response.output_item.added':
        this.#open(index, object(chunk.item), out)
        break
      case 'response.output_item.done':
        this.#close(index, object(chunk.item), out)
        break
      case 'response.output_text.delta':
        this.#logs(chunk.logprobs)
        this.#say(index, delta, out)
        break
      case 'response.refusal.delta':
        this.#refused = true
        this.#say(index, delta, out)
        break
      case 'response.reasoning_summary_part.added':
        // Each part is a paragraph.
        if (this.#output(index, 'reasoning').said !== '') this.#think(index, '\n\n', out)
        break
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        this.#think(index, delta, out)
        break
      case 'response.function_call_arguments.delta':
        this.#argue(index, delta, out)
        break
      case 'response.completed':
      case 'response.incomplete':
        this.#take(object(chunk.response), out)
        this.ended = true
        break
      default:
        break
    }
  }

  finish(): Finish {
    const known = this.#logprobs.length > 0 ? { logprobs: { content: this.#logprobs, refusal: null } } : {}
    return { type: 'finish', reason: this.#reason(), usage: this.#usage, ...known }
  }

  /** The whole response: what was not streamed of it, its end and its usage. */
  #take(response: Json, out: ModelEvent[]): void {
    const items = Array.isArray(response.output) ? (response.output as Json[]) : []
    for (const [index, item] of items.entries())
      if (!this.#outputs.has(index)) this.#close(index, object(item), out)
    this.#status = text(response.status) || 'completed'
    this.#cut = text(object(response.incomplete_details).reason) || null
    if (response.usage) this.#usage = toUsage(object(response.usage))
  }

  #output(index: number, type: string): Output {
    let output = this.#outputs.get(index)
    if (!output) this.#outputs.set(index, (output = { type, call: -1, said: '' }))
    return output
  }

  #open(index: number, item: Json, out: ModelEvent[]): void {
    const output = this.#output(index, text(item.type))
    if (output.type !== 'function_call' || output.call >= 0) return
    this.spoke = true
    output.call = this.#calls++
    const id =
      text(item.call_id) || text(item.id) || `call_${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`
    out.push({ type: 'tool_call', index: output.call, id, name: text(item.name), arguments: '' })
  }

  /** The item as a whole; what came of it as deltas is not said again. */
  #close(index: number, item: Json, out: ModelEvent[]): void {
    this.#open(index, item, out)
    const output = this.#output(index, text(item.type))
    switch (item.type) {
      case 'function_call':
        if (output.said === '') this.#argue(index, text(item.arguments), out)
        break
      case 'reasoning': {
        if (output.said === '') this.#think(index, summaryOf(item), out)
        const signature = thoughtSignature(item.id, item.encrypted_content)
        if (signature) out.push({ type: 'reasoning', text: '', signature })
        break
      }
      case 'message':
        if (output.said !== '') break
        for (const part of list(item.content)) {
          if (part.type === 'refusal') this.#refused = true
          this.#logs(part.logprobs)
          this.#say(index, text(part.text) || text(part.refusal), out)
        }
        break
      default:
        break
    }
  }

  #say(index: number, said: string, out: ModelEvent[]): void {
    if (said === '') return
    this.spoke = true
    this.#output(index, 'message').said = 'text'
    out.push({ type: 'text', text: said })
  }

  #think(index: number, thought: string, out: ModelEvent[]): void {
    if (thought === '') return
    this.#output(index, 'reasoning').said = 'thought'
    out.push({ type: 'reasoning', text: thought })
  }

  #argue(index: number, piece: string, out: ModelEvent[]): void {
    const output = this.#outputs.get(index)
    if (!output || output.call < 0 || piece === '') return
    output.said = 'arguments'
    out.push({ type: 'tool_call', index: output.call, arguments: piece })
  }

  #logs(value: unknown): void {
    const parsed = logprobsSchema.safeParse({ content: Array.isArray(value) ? value : null })
    if (parsed.success && parsed.data.content) this.#logprobs.push(...parsed.data.content)
  }

  #reason(): Finish['reason'] {
    if (this.#refused || this.#cut === 'content_filter') return 'content_filter'
    if (this.#status === 'incomplete') return 'length'
    if (this.#calls > 0) return 'tool_calls'
    return this.spoke || this.#status === 'completed' ? 'stop' : 'unknown'
  }
}

/** A summary, or the thoughts themselves where a model shows them. */
function summaryOf(item: Json): string {
  const parts = list(item.summary).length > 0 ? list(item.summary) : list(item.content)
  return parts.map((part) => text(part.text)).join('\n\n')
}

function errorOf(response: Json): unknown {
  return response.error ?? { message: 'the response failed', code: 'server_error' }
}

function toUsage(usage: Json): ModelUsage {
  const prompt_tokens = count(usage.input_tokens) ?? 0
  const completion_tokens = count(usage.output_tokens) ?? 0
  const details = object(usage.input_tokens_details)
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: count(usage.total_tokens) ?? prompt_tokens + completion_tokens,
    cached_input_tokens: count(details.cached_tokens),
    cache_write_tokens: count(details.cache_write_tokens),
    reasoning_tokens: count(object(usage.output_tokens_details).reasoning_tokens),
  }
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(object) : []
}

import type { ModelEvent, ModelUsage } from '../core/ports/models.ts'
import type { AnswerDecoder } from './answer-stream.ts'
import { count, type Json, object, text } from './json.ts'

type Finish = ModelEvent & { type: 'finish' }

/** What is known of a content block while it is streamed. */
interface Block {
  type: string
  /** Of a tool call: its place among the calls. */
  call: number
  /** Something of its input has come as deltas. */
  fed: boolean
  /** The input that came with its start, for servers that send it whole. */
  input: unknown
}

/** Reads a message of Anthropic's Messages API. */
export class MessageDecoder implements AnswerDecoder {
  readonly name = 'message'
  spoke = false
  ended = false
  #calls = 0
  #blocks = new Map<number, Block>()
  #stop: string | null = null
  #usage: Json | null = null

  get finished(): boolean {
    return this.#stop !== null
  }

  errorOf(chunk: Json): unknown {
    return chunk.error ?? (chunk.type === 'error' ? chunk : null)
  }

  readWhole(body: Json, out: ModelEvent[]): boolean {
    if (!Array.isArray(body.content) || body.role !== 'assistant') return false
    this.#note(body)
    for (const [index, block] of (body.content as Json[]).entries()) {
      this.#start(index, block, out)
      this.#stopBlock(index, out)
    }
    return this.spoke || this.finished
  }

  read(chunk: Json, out: ModelEvent[]): void {
    const index = typeof chunk.index === 'number' ? chunk.index : 0
    switch (chunk.type) {
      case 'message_start':
        this.#note(object(chunk.message))
        break
      case 'content_block_start':
        this.#start(index, object(chunk.content_block), out)
        break
      case 'content_block_delta':
        this.#delta(index, object(chunk.delta), out)
        break
      case 'content_block_stop':
        this.#stopBlock(index, out)
        break
      case 'message_delta':
        this.#note({ ...object(chunk.delta), usage: chunk.usage })
        break
      case 'message_stop':
        this.ended = true
        // Some gateways leave the reason out.
        this.#stop ??= 'end_turn'
        break
      default:
        // `ping`, and events of tomorrow, which clients are asked to ignore.
        break
    }
  }

  finish(): Finish {
    return { type: 'finish', reason: this.#reason(), usage: this.#usage && toUsage(this.#usage) }
  }

  /** The usage of later events is cumulative; what they leave out stays. */
  #note(message: Json): void {
    if (typeof message.stop_reason === 'string' && message.stop_reason !== '')
      this.#stop = message.stop_reason
    const known = Object.entries(object(message.usage)).filter(([, value]) => value != null)
    if (known.length > 0) this.#usage = { ...this.#usage, ...Object.fromEntries(known) }
  }

  #start(index: number, block: Json, out: ModelEvent[]): void {
    const type = text(block.type)
    const state: Block = { type, call: -1, fed: false, input: block.input }
    this.#blocks.set(index, state)
    if (type === 'text') this.#say(text(block.text), out)
    if (type === 'thinking') this.#think(text(block.thinking), text(block.signature), out)
    if (type === 'redacted_thinking') out.push({ type: 'redacted_reasoning', data: text(block.data) })
    if (type === 'tool_use') {
      this.spoke = true
      state.call = this.#calls++
      const id = text(block.id) || `toolu_${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`
      out.push({ type: 'tool_call', index: state.call, id, name: text(block.name), arguments: '' })
    }
  }

  #delta(index: number, delta: Json, out: ModelEvent[]): void {
    const block = this.#blocks.get(index)
    switch (delta.type) {
      case 'text_delta':
        this.#say(text(delta.text), out)
        break
      case 'thinking_delta':
        this.#think(text(delta.thinking), '', out)
        break
      case 'signature_delta':
        this.#think('', text(delta.signature), out)
        break
      case 'input_json_delta': {
        const piece = text(delta.partial_json)
        if (!block || block.call < 0 || piece === '') break
        block.fed = true
        out.push({ type: 'tool_call', index: block.call, arguments: piece })
        break
      }
      default:
        break
    }
  }

  #stopBlock(index: number, out: ModelEvent[]): void {
    const block = this.#blocks.get(index)
    if (!block || block.call < 0 || block.fed) return
    block.fed = true
    const given = JSON.stringify(object(block.input))
    out.push({ type: 'tool_call', index: block.call, arguments: given })
  }

  #say(said: string, out: ModelEvent[]): void {
    if (said === '') return
    this.spoke = true
    out.push({ type: 'text', text: said })
  }

  #think(thought: string, signature: string, out: ModelEvent[]): void {
    if (thought === '' && signature === '') return
    out.push({ type: 'reasoning', text: thought, ...(signature === '' ? {} : { signature }) })
  }

  #reason(): Finish['reason'] {
    switch (this.#stop) {
      case 'max_tokens':
      case 'model_context_window_exceeded':
        return 'length'
      case 'refusal':
        return 'content_filter'
      case 'end_turn':
      case 'stop_sequence':
      case 'tool_use':
        return this.#calls > 0 ? 'tool_calls' : 'stop'
      default:
        return this.#calls > 0 ? 'tool_calls' : 'unknown'
    }
  }
}

/** Anthropic counts what was read from and written to the cache apart from the rest of the prompt. */
function toUsage(usage: Json): ModelUsage {
  const cached_input_tokens = count(usage.cache_read_input_tokens)
  const cache_write_tokens = count(usage.cache_creation_input_tokens)
  const prompt_tokens =
    (count(usage.input_tokens) ?? 0) + (cached_input_tokens ?? 0) + (cache_write_tokens ?? 0)
  const completion_tokens = count(usage.output_tokens) ?? 0
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    cached_input_tokens,
    cache_write_tokens,
    reasoning_tokens: count(object(usage.output_tokens_details).thinking_tokens),
  }
}

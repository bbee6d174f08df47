import type { AgentEvent, TurnResult } from '../../../core/events.ts'
import type { ContentBlock } from '../../../schema/anthropic.ts'
import { messageOf } from '../../../schema/errors.ts'
import type { StoredMessage } from '../../../schema/message.ts'
import type { StreamFormat } from '../../formatted-stream.ts'
import { toLettaMessages } from '../../letta-messages.ts'
import { StreamMapper, type StreamShape, type WireItem } from '../../letta-stream.ts'
import { textOf } from '../../spoken.ts'
import { encodeEvent } from '../../sse.ts'
import { type AnswerShape, anthropicUsage, callsOf, stopReason, toAnswer } from './answer.ts'

/** A turn as the events of a message of Anthropic. */
export class MessageEvents implements StreamFormat {
  readonly content_type = 'text/event-stream; charset=utf-8'
  readonly keep_alive = 'event: ping\ndata: {"type":"ping"}\n\n'
  readonly #shape: AnswerShape
  readonly #shown: StreamShape
  readonly #mapper: StreamMapper
  /** Blocks that have begun. */
  #blocks = 0
  /** Of the text that is being written. */
  #open: string | null = null
  #calls = false

  constructor(shape: AnswerShape, shown: StreamShape) {
    this.#shape = shape
    this.#shown = shown
    this.#mapper = new StreamMapper(shape.run_id, shown, (item) => this.#item(item))
  }

  text(event: AgentEvent): string {
    switch (event.type) {
      case 'run_start':
        return this.#event('message_start', { message: toAnswer(this.#shape, [], null) })
      case 'run_end':
        return this.#end(event.result)
      case 'message':
        return this.#mapper.text(event) + this.#whole(event.message)
      default:
        return this.#mapper.text(event)
    }
  }

  broken(error: unknown): string {
    return this.#failed(`the stream broke off: ${messageOf(error)}`)
  }

  #item(item: WireItem): string {
    const key = String(item['otid'])
    if (item.message_type === 'assistant_message') {
      const text = textOf(item['content'] as Parameters<typeof textOf>[0])
      const block = { type: 'text' as const, text: '', citations: null }
      return text === '' ? '' : this.#write(key, block, { type: 'text_delta', text })
    }
    if (item.message_type !== 'reasoning_message' || !this.#shape.shows_thoughts) return ''
    const block = { type: 'thinking' as const, thinking: '', signature: '' }
    return this.#write(key, block, { type: 'thinking_delta', thinking: String(item['reasoning']) })
  }

  #write(key: string, content_block: ContentBlock, delta: object): string {
    const begun = this.#open === key ? '' : this.#close() + this.#begin(content_block)
    this.#open = key
    return begun + this.#event('content_block_delta', { index: this.#blocks - 1, delta })
  }

  #begin(content_block: ContentBlock): string {
    return this.#event('content_block_start', { index: this.#blocks++, content_block })
  }

  #close(): string {
    if (this.#open === null) return ''
    this.#open = null
    return this.#event('content_block_stop', { index: this.#blocks - 1 })
  }

  /** Calls are written when they are whole. */
  #whole(message: StoredMessage): string {
    if (message.role !== 'assistant' && message.role !== 'approval') return ''
    return toLettaMessages(message, this.#shown.speaking)
      .flatMap((item) => callsOf(item, this.#shape))
      .map((block) => this.#close() + this.#call(block) + this.#close())
      .join('')
  }

  #call(block: ContentBlock): string {
    if (block.type === 'thinking')
      return this.#write(
        block.thinking,
        { ...block, thinking: '' },
        { type: 'thinking_delta', thinking: block.thinking },
      )
    if (block.type === 'text') return ''
    this.#calls = true
    const delta = { type: 'input_json_delta', partial_json: JSON.stringify(block.input) }
    return this.#write(block.id, { ...block, input: {} }, delta)
  }

  #end({ error, stop_reason, usage }: TurnResult): string {
    if (error) return this.#failed(error.message)
    const delta = { stop_reason: stopReason(stop_reason, this.#calls), stop_sequence: null }
    return (
      this.#close() +
      this.#event('message_delta', { delta, usage: anthropicUsage(usage) }) +
      this.#event('message_stop', {})
    )
  }

  #failed(message: string): string {
    return this.#event('error', { error: { type: 'api_error', message } })
  }

  #event(type: string, fields: object): string {
    return encodeEvent({ event: type, data: JSON.stringify({ type, ...fields }) })
  }
}

import type { AgentEvent, TurnResult } from '../../../core/events.ts'
import { messageOf } from '../../../schema/errors.ts'
import type { LettaMessage, StoredMessage } from '../../../schema/message.ts'
import type { OutputItem, ResponseObject } from '../../../schema/openai-responses.ts'
import type { StreamFormat } from '../../formatted-stream.ts'
import { toLettaMessages } from '../../letta-messages.ts'
import { StreamMapper, type StreamShape, type WireItem } from '../../letta-stream.ts'
import { textOf } from '../../spoken.ts'
import { encodeEvent } from '../../sse.ts'
import {
  callItems,
  emptyResponse,
  endedResponse,
  messageItem,
  reasoningItem,
  type ResponseShape,
  returned,
} from './response-object.ts'

/** A turn as the events of a response. */
export class ResponseEvents implements StreamFormat {
  readonly content_type = 'text/event-stream; charset=utf-8'
  readonly keep_alive = ': keep-alive\n\n'
  readonly #shape: ResponseShape
  readonly #shown: StreamShape
  readonly #mapper: StreamMapper
  readonly #output: OutputItem[] = []
  /** The text that is being written: of what, where, and so far. */
  #open: { key: string; kind: 'message' | 'reasoning'; index: number; text: string } | null = null
  #sequence = 0

  constructor(shape: ResponseShape, shown: StreamShape) {
    this.#shape = shape
    this.#shown = shown
    this.#mapper = new StreamMapper(shape.run_id, shown, (item) => this.#item(item))
  }

  text(event: AgentEvent): string {
    switch (event.type) {
      case 'run_start': {
        const response = emptyResponse(this.#shape)
        return (
          this.#event('response.created', { response }) + this.#event('response.in_progress', { response })
        )
      }
      case 'run_end':
        return this.#end(event.result)
      case 'message':
        return this.#mapper.text(event) + this.#whole(event.message)
      default:
        return this.#mapper.text(event)
    }
  }

  broken(error: unknown): string {
    const message = `the stream broke off: ${messageOf(error)}`
    return this.#event('error', { code: 'server_error', message, param: null })
  }

  #item(item: WireItem): string {
    const key = String(item['otid'])
    switch (item.message_type) {
      case 'assistant_message':
        return this.#write('message', key, textOf(item['content'] as Parameters<typeof textOf>[0]))
      case 'reasoning_message':
        return this.#write('reasoning', key, String(item['reasoning']))
      case 'tool_return_message': {
        const call = returned(this.#output, item as unknown as Parameters<typeof returned>[1])
        if (!call) return ''
        const output_index = this.#output.indexOf(call)
        return this.#event('response.output_item.done', { output_index, item: call })
      }
      default:
        return ''
    }
  }

  #write(kind: 'message' | 'reasoning', key: string, delta: string): string {
    if (delta === '') return ''
    const begun = this.#open?.key === key ? '' : this.#close() + this.#begin(kind, key)
    const open = this.#open
    if (!open) return begun
    open.text += delta
    const at = this.#at(open.index)
    return (
      begun +
      (kind === 'message'
        ? this.#event('response.output_text.delta', { ...at, content_index: 0, delta, logprobs: [] })
        : this.#event('response.reasoning_summary_text.delta', { ...at, summary_index: 0, delta }))
    )
  }

  #begin(kind: 'message' | 'reasoning', key: string): string {
    const item = kind === 'message' ? messageItem(key, '') : reasoningItem(key, '')
    const output_index = this.#output.push(item) - 1
    this.#open = { key, kind, index: output_index, text: '' }
    const at = this.#at(output_index)
    if (item.type === 'message') {
      const begun = { ...item, status: 'in_progress', content: [] }
      const [part] = item.content
      return (
        this.#event('response.output_item.added', { output_index, item: begun }) +
        this.#event('response.content_part.added', { ...at, content_index: 0, part })
      )
    }
    const [part] = item.summary
    return (
      this.#event('response.output_item.added', { output_index, item: { ...item, summary: [] } }) +
      this.#event('response.reasoning_summary_part.added', { ...at, summary_index: 0, part })
    )
  }

  /** Ends the text that is being written. */
  #close(): string {
    const open = this.#open
    if (!open) return ''
    this.#open = null
    const { key, kind, index: output_index, text } = open
    const item = kind === 'message' ? messageItem(key, text) : reasoningItem(key, text)
    this.#output[output_index] = item
    const at = this.#at(output_index)
    const done = () => this.#event('response.output_item.done', { output_index, item })
    if (item.type === 'message') {
      const place = { ...at, content_index: 0 }
      return (
        this.#event('response.output_text.done', { ...place, text, logprobs: [] }) +
        this.#event('response.content_part.done', { ...place, part: item.content[0] }) +
        done()
      )
    }
    const place = { ...at, summary_index: 0 }
    return (
      this.#event('response.reasoning_summary_text.done', { ...place, text }) +
      this.#event('response.reasoning_summary_part.done', { ...place, part: item.summary[0] }) +
      done()
    )
  }

  /** Calls are written when they are whole. */
  #whole(message: StoredMessage): string {
    if (message.role !== 'assistant' && message.role !== 'approval') return ''
    return toLettaMessages(message, this.#shown.speaking)
      .flatMap((shown: LettaMessage) => callItems(shown, this.#shape))
      .map((item) => this.#close() + this.#call(item))
      .join('')
  }

  #call(item: OutputItem): string {
    const output_index = this.#output.push(item) - 1
    // What the agent's own tool returns is told when it is there.
    if (item.type !== 'function_call')
      return this.#event('response.output_item.added', { output_index, item })
    const at = this.#at(output_index)
    const begun = { ...item, arguments: '', status: 'in_progress' }
    return (
      this.#event('response.output_item.added', { output_index, item: begun }) +
      this.#event('response.function_call_arguments.delta', { ...at, delta: item.arguments }) +
      this.#event('response.function_call_arguments.done', {
        ...at,
        name: item.name,
        arguments: item.arguments,
      }) +
      this.#event('response.output_item.done', { output_index, item })
    )
  }

  #end(result: TurnResult): string {
    const closed = this.#close()
    const response = endedResponse(this.#shape, this.#output, { ...result, error: result.error ?? null })
    return closed + this.#event(TYPES[response.status], { response })
  }

  #at(output_index: number) {
    return { item_id: this.#output[output_index]?.id ?? '', output_index }
  }

  #event(type: string, fields: object): string {
    const data = JSON.stringify({ type, sequence_number: this.#sequence++, ...fields })
    return encodeEvent({ event: type, data })
  }
}

const TYPES: Record<ResponseObject['status'], string> = {
  in_progress: 'response.in_progress',
  completed: 'response.completed',
  incomplete: 'response.incomplete',
  failed: 'response.failed',
}

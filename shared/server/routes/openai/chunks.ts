import type { AgentEvent, TurnResult } from '../../../core/events.ts'
import { messageOf } from '../../../schema/errors.ts'
import type { StoredMessage } from '../../../schema/message.ts'
import type { StreamFormat } from '../../formatted-stream.ts'
import { toLettaMessages } from '../../letta-messages.ts'
import { StreamMapper, type StreamShape, type WireItem } from '../../letta-stream.ts'
import { BETWEEN, textOf } from '../../spoken.ts'
import { type ChatShape, chatUsage, clientCalls, finishReason, shownCalls } from './answer.ts'

interface Options extends ChatShape {
  run_id: string
  /** Seconds since 1970. */
  created: number
  include_usage: boolean
  shape: StreamShape
}

/** A turn as the chunks of a chat completion. */
export class ChatChunks implements StreamFormat {
  readonly content_type = 'text/event-stream; charset=utf-8'
  readonly keep_alive = ': keep-alive\n\n'
  readonly #options: Options
  readonly #mapper: StreamMapper
  /** Of the text that was last said. */
  #said: unknown = null
  #calls = 0

  constructor(options: Options) {
    this.#options = options
    this.#mapper = new StreamMapper(options.run_id, options.shape, (item) => this.#item(item))
  }

  text(event: AgentEvent): string {
    switch (event.type) {
      case 'run_start':
        return this.#delta({ role: 'assistant', content: '' })
      case 'run_end':
        return this.#end(event.result)
      case 'message':
        return this.#mapper.text(event) + this.#whole(event.message)
      default:
        return this.#mapper.text(event)
    }
  }

  broken(error: unknown): string {
    return failed('internal_error', `the stream broke off: ${messageOf(error)}`)
  }

  #item(item: WireItem): string {
    if (item.message_type === 'reasoning_message')
      return this.#delta({ reasoning_content: String(item['reasoning']) })
    if (item.message_type !== 'assistant_message') return ''
    const content = textOf(item['content'] as Parameters<typeof textOf>[0])
    if (content === '') return ''
    const another = this.#said !== null && this.#said !== item['otid']
    this.#said = item['otid']
    return this.#delta({ content: another ? BETWEEN + content : content })
  }

  /** Calls are written when they are whole. */
  #whole(message: StoredMessage): string {
    if (message.role !== 'assistant' && message.role !== 'approval') return ''
    let text = ''
    for (const item of toLettaMessages(message, this.#options.shape.speaking)) {
      for (const shown of shownCalls(item, this.#options))
        text += this.#delta({ reasoning_content: `\n${shown}\n` })
      const calls = clientCalls(item, this.#options).map((call) => ({ index: this.#calls++, ...call }))
      if (calls.length > 0) text += this.#delta({ tool_calls: calls })
    }
    return text
  }

  #end({ error, stop_reason, usage }: TurnResult): string {
    if (error) return failed(error.type, error.message)
    const last = this.#delta({}, finishReason(stop_reason, this.#calls > 0))
    const counted = this.#options.include_usage ? this.#chunk({ choices: [], usage: chatUsage(usage) }) : ''
    return `${last}${counted}data: [DONE]\n\n`
  }

  #delta(delta: object, finish_reason: string | null = null): string {
    return this.#chunk({ choices: [{ index: 0, delta, logprobs: null, finish_reason }] })
  }

  #chunk(fields: object): string {
    const { run_id, created, model, conversation_id } = this.#options
    const head = { id: `chatcmpl-${run_id}`, object: 'chat.completion.chunk', created, model }
    return `data: ${JSON.stringify({ ...head, ...fields, conversation_id })}\n\n`
  }
}

/** The end of a stream that failed, as OpenAI's clients understand it. */
function failed(type: string, message: string): string {
  return `data: ${JSON.stringify({ error: { message, type, param: null, code: null } })}\n\ndata: [DONE]\n\n`
}

import type { AgentEvent } from '../../../core/events.ts'
import type { AgentState } from '../../../schema/agent.ts'
import { messageOf } from '../../../schema/errors.ts'
import type { StoredMessage } from '../../../schema/message.ts'
import type { SimpleLine } from '../../../schema/simple.ts'
import type { StreamFormat } from '../../formatted-stream.ts'
import { toLettaMessages } from '../../letta-messages.ts'
import { StreamMapper, type StreamShape, type WireItem } from '../../letta-stream.ts'
import { BETWEEN, textOf } from '../../spoken.ts'

interface Options {
  run_id: string
  agent_id: string
  conversation_id: string
  shape: StreamShape
  /** The agent after the turn, when it was asked for. */
  agentState: (() => Promise<AgentState>) | null
}

/** A turn as lines of JSON: what the agent says piece by piece as `content`, everything else whole. */
export class SimpleLines implements StreamFormat {
  readonly content_type = 'application/x-ndjson; charset=utf-8'
  /** Readers of lines leave out empty ones. */
  readonly keep_alive = '\n'
  readonly #options: Options
  readonly #mapper: StreamMapper
  /** Of the text that was last said. */
  #said: unknown = null

  constructor(options: Options) {
    this.#options = options
    this.#mapper = new StreamMapper(options.run_id, options.shape, (item) => this.#item(item))
  }

  text(event: AgentEvent): string | Promise<string> {
    switch (event.type) {
      case 'run_start':
        return line({ type: 'start', ...this.#place() })
      case 'run_end':
        return this.#end(event)
      case 'message':
        return this.#mapper.text(event) + this.#calls(event.message)
      default:
        return this.#mapper.text(event)
    }
  }

  broken(error: unknown): string {
    return this.#failed({ type: 'internal_error', message: `the stream broke off: ${messageOf(error)}` })
  }

  /** An item of V1's stream. Its calls come in parts: they are written when they are whole. */
  #item(item: WireItem): string {
    switch (item.message_type) {
      case 'assistant_message':
        return this.#say(item)
      case 'reasoning_message':
        return line({ type: 'reasoning', reasoning: String(item['reasoning']) })
      case 'tool_return_message':
        return line({
          type: 'tool_return',
          tool_call_id: String(item['tool_call_id']),
          status: String(item['status']),
          tool_return: String(item['tool_return']),
        })
      default:
        return ''
    }
  }

  #say(item: WireItem): string {
    const content = textOf(item['content'] as Parameters<typeof textOf>[0])
    if (content === '') return ''
    const another = this.#said !== null && this.#said !== item['otid']
    this.#said = item['otid']
    return line({ type: 'content', content: another ? BETWEEN + content : content })
  }

  #calls(message: StoredMessage): string {
    if (message.role !== 'assistant' && message.role !== 'approval') return ''
    return toLettaMessages(message, this.#options.shape.speaking)
      .flatMap((item) => {
        const type =
          item.message_type === 'tool_call_message'
            ? ('tool_call' as const)
            : item.message_type === 'approval_request_message'
              ? ('approval_request' as const)
              : null
        if (type === null || !('tool_calls' in item) || !Array.isArray(item.tool_calls)) return []
        return item.tool_calls.map((call) => line({ type, ...call }))
      })
      .join('')
  }

  async #end({ result }: Extract<AgentEvent, { type: 'run_end' }>): Promise<string> {
    if (result.error) return this.#failed(result.error)
    const { agentState } = this.#options
    const { stop_reason, usage } = result
    const state = agentState ? { agent_state: await agentState() } : {}
    return line({ type: 'end', ...this.#place(), stop_reason, usage, ...state })
  }

  #failed({ type, message }: { type: string; message: string }): string {
    return line({ type: 'error', ...this.#place(), error: { type, message }, detail: message })
  }

  #place() {
    const { run_id, agent_id, conversation_id } = this.#options
    return { run_id, agent_id, conversation_id }
  }
}

function line(value: SimpleLine): string {
  return `${JSON.stringify(value)}\n`
}

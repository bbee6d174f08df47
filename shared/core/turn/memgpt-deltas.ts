import { SEND_MESSAGE } from '../../schema/message-text.ts'
import type { AgentEvent } from '../events.ts'
import type { DeltaFilter } from './agent-loop.ts'
import { type ArgumentDelta, ArgumentStream } from './argument-stream.ts'
import { THINKING } from './inner-thoughts.ts'
import type { OpenStep } from './records.ts'

type CallDelta = Extract<AgentEvent, { type: 'tool_call_delta' }>

interface Call {
  /** Its first delta, until it is passed on. */
  first: CallDelta | null
  latest: CallDelta
  arguments: ArgumentStream
  /** What waits until it is sure that no thought stands in front of it. */
  held: string
  /** What the call says to the user, of a speaking one. */
  speech: ArgumentStream | null
}

/**
 * The deltas of an answer as the older loop means them, so that they add up to what `MemgptLoop.read` stores: text beside
 * a call and the thought in its arguments are reasoning, and only the first call counts. Text is held back until it is
 * clear whether a call follows it; a thought behind other arguments is passed on where it stands, though lists show it
 * first. The step's `partial` is kept at what the user was told so far.
 */
export class MemgptDeltas implements DeltaFilter {
  readonly #step: OpenStep
  readonly #text_is_thought: boolean
  readonly #own_thinking: ReadonlySet<string>
  #text = ''
  /** How much of it was passed on as thought. */
  #told = 0
  #spoken = ''
  #source: 'text' | 'argument' | null = null
  #call: Call | null = null

  /** `own_thinking` are the tools that have an argument of that name for themselves. */
  constructor(step: OpenStep, options: { text_is_thought: boolean; own_thinking: ReadonlySet<string> }) {
    this.#step = step
    this.#text_is_thought = options.text_is_thought
    this.#own_thinking = options.own_thinking
  }

  pass(event: AgentEvent): AgentEvent[] {
    if (event.type === 'tool_call_delta') return this.#passCall(event)
    if (event.type !== 'text_delta' || !this.#text_is_thought) return [event]
    this.#text += event.text
    if (this.#call) this.#step.partial.text = this.#spoken
    return []
  }

  end(): AgentEvent[] {
    if (this.#call)
      return [...this.#split(this.#call, this.#call.arguments.end(), true), ...this.#thinkText()]
    return this.#text === '' ? [] : [{ type: 'text_delta', ...this.#place(), text: this.#text }]
  }

  #passCall(event: CallDelta): AgentEvent[] {
    const events: AgentEvent[] = []
    if (!this.#call) {
      const name = event.name ?? ''
      this.#call = {
        first: event,
        latest: event,
        arguments: new ArgumentStream(this.#own_thinking.has(name) ? [] : [THINKING]),
        held: '',
        speech: name === SEND_MESSAGE ? new ArgumentStream(['message']) : null,
      }
      if (this.#text_is_thought) this.#step.partial.text = ''
      events.push(...this.#thinkText())
    }
    const call = this.#call
    if (event.tool_call_id !== call.latest.tool_call_id) return events
    call.latest = event
    for (const said of call.speech?.push(event.arguments).taken ?? [])
      this.#step.partial.text = this.#spoken += said.text
    return [...events, ...this.#split(call, call.arguments.push(event.arguments), false)]
  }

  #split(call: Call, delta: ArgumentDelta, last: boolean): AgentEvent[] {
    const events: AgentEvent[] = delta.taken.map(({ text }) => this.#think(text, 'argument'))
    call.held += delta.rest
    if (!last && /^\s*\{?\s*$/.test(call.held)) return events
    if (call.held !== '' || call.first) events.push({ ...(call.first ?? call.latest), arguments: call.held })
    call.first = null
    call.held = ''
    return events
  }

  #thinkText(): AgentEvent[] {
    const whole = this.#text.trim()
    const text = whole.slice(this.#told)
    this.#told = whole.length
    return text === '' ? [] : [this.#think(text, 'text')]
  }

  #place() {
    return { step_id: this.#step.id, message_id: this.#step.message_id }
  }

  /** What was thought in text and what was thought in the arguments are two paragraphs. */
  #think(text: string, source: 'text' | 'argument'): AgentEvent {
    const paragraph = this.#source !== null && this.#source !== source
    this.#source = source
    return {
      type: 'reasoning_delta',
      ...this.#place(),
      text: paragraph ? `\n\n${text}` : text,
      is_native: false,
    }
  }
}

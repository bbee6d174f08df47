import type { ContentPart } from '../../schema/message.ts'
import { SEND_MESSAGE } from '../../schema/message-text.ts'
import type { ToolSchema } from '../../schema/tool.ts'
import { packText } from '../packed-text.ts'
import type { AgentLoop, Continuation, DeltaFilter, Offer } from './agent-loop.ts'
import type { Answer } from './answer.ts'
import { asksForStep, olderSchema, THINKING, withoutThought } from './inner-thoughts.ts'
import { MemgptDeltas } from './memgpt-deltas.ts'
import type { OpenStep } from './records.ts'
import type { ExecutedCall } from './tool-calls.ts'
import { missingText } from './tool-rules.ts'
import type { TurnTools } from './turn-tools.ts'

/**
 * V1's older loop (reference 3.7): the model acts and speaks by calls alone, one in each step, and says with each
 * whether it wants another. What it writes beside a call is thought. Where V1 gives up, the user gets an answer: a model
 * that writes plain text instead of a call has spoken, and one whose call failed is asked again.
 */
export class MemgptLoop implements AgentLoop {
  readonly #tools: TurnTools
  readonly #schemas: readonly ToolSchema[]
  /** Each answer must be a call. An agent without a tool to speak or to end with could never answer then. */
  readonly #calls_only: boolean
  /** Tools that have an argument for thoughts of their own. */
  readonly #own_thinking: ReadonlySet<string>
  readonly #now: () => { date: Date; timezone: string }
  /** A rule was broken: from now on the model sees only what it may call. */
  #broken = false

  constructor(tools: TurnTools, options: { thinks: boolean; now: () => { date: Date; timezone: string } }) {
    this.#tools = tools
    this.#now = options.now
    const { rules, schemas } = tools
    this.#schemas = schemas.map((schema) =>
      olderSchema(schema, { thinks: options.thinks, ends: rules.ends(schema.name) }),
    )
    const own = schemas.filter((schema) => Object.hasOwn(schema.parameters.properties, THINKING))
    this.#own_thinking = new Set(own.map((schema) => schema.name))
    this.#calls_only = schemas.some(({ name }) => name === SEND_MESSAGE || rules.ends(name))
  }

  /** The list of tools stays as it is while no rule is broken: it stands at the head of what providers cache. */
  offer(): Offer {
    const valid = this.#tools.rules.valid()
    const tools = this.#broken
      ? this.#schemas.filter((schema) => valid.includes(schema.name))
      : [...this.#schemas]
    const offer = { tools, parallel_tool_calls: false }
    const [only] = valid
    if (only === undefined) return { ...offer, tool_choice: this.#schemas.length === 0 ? 'auto' : 'none' }
    if (!this.#calls_only && !this.#tools.rules.forced) return { ...offer, tool_choice: 'auto' }
    return { ...offer, tool_choice: valid.length === 1 ? { name: only } : 'required' }
  }

  deltas(step: OpenStep): DeltaFilter {
    return new MemgptDeltas(step, {
      text_is_thought: this.#calls_only,
      own_thinking: this.#own_thinking,
    })
  }

  read(answer: Answer): Answer {
    const [call] = answer.tool_calls
    if (!call) return answer
    const { name, arguments: given } = call.function
    const { rest, thought } = this.#own_thinking.has(name)
      ? { rest: given, thought: '' }
      : withoutThought(given)
    const text = this.#calls_only ? answer.text.trim() : ''
    const thoughts = [text, thought].filter((part) => part !== '').join('\n\n')
    const kept = this.#calls_only ? answer.content.filter((part) => part.type !== 'text') : answer.content
    const content: ContentPart[] =
      thoughts === '' ? kept : [...kept, { type: 'reasoning', is_native: false, reasoning: thoughts }]
    const tool_calls = [{ ...call, function: { ...call.function, arguments: rest } }]
    return { ...answer, content, text: this.#calls_only ? '' : answer.text, tool_calls }
  }

  afterText(answer: Answer): Continuation {
    if (answer.finish_reason === 'length') return { stop: 'max_tokens_exceeded' }
    return this.#unlessMissing(answer.text === '' ? 'no_tool_call' : 'end_turn')
  }

  afterCalls(executed: readonly ExecutedCall[]): Continuation {
    const [last] = executed.toReversed()
    if (!last) return { stop: 'no_tool_call' }
    const { rules } = this.#tools
    const { name, arguments: text } = last.call.function
    const asks = asksForStep(text)
    if (last.outcome === 'unusable') return { stop: 'invalid_tool_call' }
    if (last.outcome === 'refused') {
      this.#broken = true
      return this.#goOn('The tool call broke a tool rule.')
    }
    if (last.outcome === 'denied') return this.#goOn('The user denied the tool call.')
    if (last.result.status === 'error') return this.#goOn('The tool call failed.')
    if (rules.ends(name)) return this.#unlessMissing(asks === true ? 'tool_rule' : 'end_turn', [name])
    if (rules.goesOn(name)) return this.#goOn(`A tool rule asks you to go on after ${name}.`)
    if (asks ?? !this.#calls_only) return this.#goOn(`${name} has returned, as you asked to be told.`)
    return this.#unlessMissing('end_turn', [name])
  }

  /** The turn may not end before the tools that must be called were. */
  #unlessMissing(
    stop: 'end_turn' | 'tool_rule' | 'no_tool_call',
    calling: readonly string[] = [],
  ): Continuation {
    const missing = this.#tools.rules.missing(calling)
    return missing.length === 0 ? { stop } : this.#goOn(missingText(missing))
  }

  #goOn(reason: string): Continuation {
    return { stop: null, say: packText('heartbeat', { reason }, this.#now()) }
  }
}

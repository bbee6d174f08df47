import { packText } from '../packed-text.ts'
import type { AgentLoop, Continuation, Offer } from './agent-loop.ts'
import type { Answer } from './answer.ts'
import type { ExecutedCall } from './tool-calls.ts'
import { missingText } from './tool-rules.ts'
import type { TurnTools } from './turn-tools.ts'

/**
 * V1's current loop (reference 3.2): the model chooses whether to call a tool, a plain answer ends the turn, and after
 * calls it is always asked again, unless a rule says otherwise.
 */
export class LettaV1Loop implements AgentLoop {
  readonly #tools: TurnTools
  readonly #parallel: boolean
  readonly #now: () => { date: Date; timezone: string }
  /** A rule was broken: from now on the model sees only what it may call. */
  #broken = false
  /** The user refused a call: the model may answer with words, whatever its rules force. */
  #denied = false

  constructor(tools: TurnTools, options: { parallel: boolean; now: () => { date: Date; timezone: string } }) {
    this.#tools = tools
    this.#parallel = options.parallel && tools.rules.parallel
    this.#now = options.now
  }

  /**
   * The list of tools stays as it is, whatever the rules allow just now, because it stands at the head of what
   * providers cache (docs/decisions/0007): rules speak through `tool_choice` and through the returns of calls that
   * they refuse. Only a model that has broken one is shown what it may call, and no more.
   */
  offer(): Offer {
    const { schemas, rules } = this.#tools
    const valid = rules.valid()
    const tools = this.#broken ? schemas.filter((schema) => valid.includes(schema.name)) : [...schemas]
    const offer = { tools, parallel_tool_calls: this.#parallel }
    const [only] = valid
    if (only === undefined) return { ...offer, tool_choice: schemas.length === 0 ? 'auto' : 'none' }
    if (!rules.forced || this.#denied) return { ...offer, tool_choice: 'auto' }
    return { ...offer, tool_choice: valid.length === 1 ? { name: only } : 'required' }
  }

  /** With parallel calls off a model that sends several gets only its first one run. */
  read(answer: Answer): Answer {
    return this.#parallel ? answer : { ...answer, tool_calls: answer.tool_calls.slice(0, 1) }
  }

  deltas(): null {
    return null
  }

  afterText(answer: Answer): Continuation {
    if (answer.finish_reason === 'length') return { stop: 'max_tokens_exceeded' }
    return this.#unlessMissing('end_turn')
  }

  afterCalls(executed: readonly ExecutedCall[]): Continuation {
    if (executed.some((call) => call.outcome === 'unusable')) return { stop: 'invalid_tool_call' }
    this.#broken ||= executed.some((call) => call.outcome === 'refused')
    this.#denied = executed.some((call) => call.outcome === 'denied')
    const made = executed.filter((call) => call.outcome === 'made').map((call) => call.call.function.name)
    if (made.some((name) => this.#tools.rules.ends(name))) return this.#unlessMissing('tool_rule', made)
    return { stop: null, say: null }
  }

  /** The turn may not end before the tools that must be called were. */
  #unlessMissing(stop: 'end_turn' | 'tool_rule', calling: readonly string[] = []): Continuation {
    const missing = this.#tools.rules.missing(calling)
    if (missing.length === 0) return { stop }
    return { stop: null, say: packText('heartbeat', { reason: missingText(missing) }, this.#now()) }
  }
}

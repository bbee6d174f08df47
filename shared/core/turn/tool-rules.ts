import type { ToolRule } from '../../schema/tool.ts'

type RuleOf<T extends ToolRule['type']> = Extract<ToolRule, { type: T }>

/** One call of a turn as its rules remember it. */
export interface PastCall {
  name: string
  /** What it returned, as the model reads it. */
  text: string
}

/**
 * Which tools an agent's rules allow next (reference 3.5). It looks back on one turn, which goes on over an approval.
 * A call that a rule refused, or that the user denied, was not made.
 */
export class ToolRules {
  readonly #rules: readonly ToolRule[]
  readonly #attached: readonly string[]
  readonly #past: PastCall[] = []

  /** `attached` are the names of all tools that the model is shown. */
  constructor(rules: readonly ToolRule[], attached: readonly string[]) {
    this.#rules = rules
    this.#attached = attached
  }

  /** Whether the model may call several tools at once: it may when no rule but an approval depends on the order. */
  get parallel(): boolean {
    return this.#rules.every((rule) => rule.type === 'requires_approval')
  }

  /** Remembers a call that was made. */
  record(call: PastCall): void {
    this.#past.push(call)
  }

  /**
   * The names that may be called now, in the order of the tools. When the rules leave none, all may, but not those
   * that were called as often as they may be.
   */
  valid(): string[] {
    const allowed = this.#attached.filter((name) => !this.#exhausted(name))
    if (this.#past.length === 0) {
      const first = this.#of('run_first').map((rule) => rule.tool_name)
      const begin = allowed.filter((name) => first.includes(name))
      return begin.length > 0 ? begin : allowed.filter((name) => !this.#waitsForParent(name))
    }
    const valid = this.#followers().reduce<string[]>(
      (names, wanted) => names.filter((name) => wanted.includes(name)),
      allowed.filter((name) => !this.#waitsForParent(name)),
    )
    return valid.length > 0 ? valid : allowed
  }

  /** Whether the next answer must be a call. */
  get forced(): boolean {
    if (this.#past.length === 0) {
      return this.#of('run_first').some((rule) => this.#attached.includes(rule.tool_name))
    }
    return this.#rules.some((rule) => leads(rule) && rule.tool_name === this.#last?.name)
  }

  /** Arguments that a rule gives this tool now; they win over the model's. */
  prefilled(name: string): Record<string, unknown> | null {
    const given =
      this.#past.length === 0
        ? this.#of('run_first').filter((rule) => rule.tool_name === name)
        : this.#of('constrain_child_tools')
            .filter((rule) => rule.tool_name === this.#last?.name)
            .flatMap((rule) => rule.child_arg_nodes ?? [])
            .filter((node) => node.name === name)
    const args = given.flatMap((rule) => rule.args ?? [])
    return args.length === 0 ? null : Object.assign({}, ...args)
  }

  /** The rules that speak of this tool, or of the one called last: why it is refused. */
  concerning(name: string): ToolRule[] {
    return this.#rules.filter(
      (rule) =>
        rule.tool_name === name ||
        rule.tool_name === this.#last?.name ||
        (rule.type === 'parent_last_tool' && rule.children.includes(name)),
    )
  }

  /** Whether a call of this tool ends the turn. */
  ends(name: string): boolean {
    return this.#of('exit_loop').some((rule) => rule.tool_name === name)
  }

  /** Whether a call of this tool asks for another step: it must go on, or another tool must follow it. */
  goesOn(name: string): boolean {
    return this.#rules.some(
      (rule) => rule.tool_name === name && (rule.type === 'continue_loop' || leads(rule)),
    )
  }

  /** The tools that must be called before the turn may end and were not, `calling` taken as called. */
  missing(calling: readonly string[] = []): string[] {
    const called = new Set([...this.#past.map((call) => call.name), ...calling])
    const required = this.#of('required_before_exit').map((rule) => rule.tool_name)
    return [...new Set(required)].filter((name) => this.#attached.includes(name) && !called.has(name))
  }

  needsApproval(name: string): boolean {
    return this.#of('requires_approval').some((rule) => rule.tool_name === name)
  }

  get #last(): PastCall | undefined {
    return this.#past.at(-1)
  }

  #of<T extends ToolRule['type']>(type: T): RuleOf<T>[] {
    return this.#rules.filter((rule): rule is RuleOf<T> => rule.type === type)
  }

  #exhausted(name: string): boolean {
    const calls = this.#past.filter((call) => call.name === name).length
    return this.#of('max_count_per_step').some(
      (rule) => rule.tool_name === name && calls >= rule.max_count_limit,
    )
  }

  /** A tool with several parents may follow any of them. */
  #waitsForParent(name: string): boolean {
    const parents = this.#of('parent_last_tool').filter((rule) => rule.children.includes(name))
    return parents.length > 0 && parents.every((rule) => rule.tool_name !== this.#last?.name)
  }

  /** What each rule of the tool called last lets follow it. */
  #followers(): (readonly string[])[] {
    const last = this.#last
    if (!last) return []
    return this.#rules.flatMap((rule): (readonly string[])[] => {
      if (rule.tool_name !== last.name) return []
      if (rule.type === 'constrain_child_tools' || rule.type === 'parent_last_tool') return [rule.children]
      if (rule.type !== 'conditional') return []
      const child = childOf(rule, last.text) ?? rule.default_child
      if (child != null) return [[child]]
      return rule.require_output_mapping ? [[]] : []
    })
  }
}

/** Why a turn goes on whose rules require these tools before its end. */
export function missingText(names: readonly string[]): string {
  const tools = names.length === 1 ? `the tool ${names[0]}` : `these tools: ${names.join(', ')}`
  return `Your response cannot end before you have called ${tools}.`
}

/** Rules by which one tool decides what comes after it. */
function leads(rule: ToolRule): boolean {
  return (
    rule.type === 'constrain_child_tools' || rule.type === 'conditional' || rule.type === 'parent_last_tool'
  )
}

/** The child for this output: keys are compared as text, as booleans and as numbers. */
function childOf(rule: RuleOf<'conditional'>, output: string): string | null {
  const text = output.trim()
  const exact = Object.entries(rule.child_output_mapping).find(([key]) => key === text)
  if (exact) return exact[1]
  const value = scalar(text)
  if (value === null) return null
  return Object.entries(rule.child_output_mapping).find(([key]) => scalar(key) === value)?.[1] ?? null
}

function scalar(text: string): boolean | number | null {
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true'
  const number = Number(text)
  return text.trim() === '' || Number.isNaN(number) ? null : number
}

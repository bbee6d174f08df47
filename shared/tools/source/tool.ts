// What the source of a tool imports as `loci/tool`; also on the developer's side, where a tool is tested. No imports.

/** A block of the agent's memory. */
export interface ToolBlock {
  readonly label: string
  readonly value: string
  readonly description: string | null
  /** Characters. */
  readonly limit: number
  readonly read_only: boolean
}

/** The memory of the agent that calls. What a call changes is kept when the call succeeds. */
export interface ToolMemory {
  readonly blocks: readonly ToolBlock[]
  /** Throws for a label that the agent has no block of. */
  get_block(label: string): ToolBlock
  /** Throws for a label that the agent has no block of. */
  update_block_value(label: string, value: string): void
}

/** The agent that calls, as a tool sees it. */
export interface AgentState {
  readonly id: string
  readonly name: string
  readonly memory: ToolMemory
  readonly [field: string]: unknown
}

/** What a tool is called with besides its input. */
export interface ToolContext<Client = unknown> {
  /** Null: a developer tries the tool. */
  agent_id: string | null
  agent_state: AgentState | null
  /** The official client for this server, as the user of the agent: `ToolContext<Letta>` says so to the compiler. */
  client: Client
  /** Aborted when the call is cancelled or its time is over. */
  signal: AbortSignal
}

/** A schema that knows its types: of zod, and of every library with Standard Schema. */
export interface ToolInput<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => Checked<Output> | Promise<Checked<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What a schema says of a value. */
export type Checked<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
      }[]
    }

/** A tool as its source writes it. */
export interface ToolDefinition<Input, Output, Result> {
  /** What models call it: letters, digits, `_` and `-`, at most 48. */
  name: string
  /** What it does and when to call it, for the model. */
  description: string
  input: ToolInput<Input, Output>
  /** Gets the input as the schema makes it: with defaults, and nothing that was not asked for. */
  run(input: Output, context: ToolContext): Result | Promise<Result>
}

/** A tool that can be called: by an agent, and by a test. */
export interface Tool<Input, Output, Result> {
  readonly name: string
  readonly description: string
  readonly input: ToolInput<Input, Output>
  /**
   * Checks the input and runs the tool, as a call of an agent does. Without a context there is no agent, and `client` is
   * undefined. Rejects with a readable sentence for an input that does not fit the schema.
   */
  run(input: Input, context?: Partial<ToolContext>): Promise<Result>
}

/** A tool for agents: a name and a description for the model, a schema of its input, and what it does. */
export function tool<Input, Output, Result>(
  definition: ToolDefinition<Input, Output, Result>,
): Tool<Input, Output, Result> {
  const { name, description, input } = definition
  return {
    name,
    description,
    input,
    async run(given, context = {}) {
      const checked = await input['~standard'].validate(given)
      if (checked.issues)
        throw new TypeError(
          `${name} was called with a wrong input: ${checked.issues.map(readable).join('; ')}`,
        )
      const whole: ToolContext = {
        agent_id: null,
        agent_state: null,
        client: undefined,
        signal: new AbortController().signal,
      }
      // Not read here: a client is made when the tool first asks for it.
      Object.defineProperties(whole, Object.getOwnPropertyDescriptors(context))
      return definition.run(checked.value, whole)
    },
  }
}

function readable(issue: {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part))
  return path.length > 0 ? `${path.join('.')}: ${issue.message}` : issue.message
}

import type { Agent } from '../../schema/agent.ts'
import type { ToolSchema } from '../../schema/tool.ts'
import type { Actor } from './actor.ts'
import type { ToolDebugger } from './tool-debugger.ts'
import type { ToolResult } from './tools.ts'

/** The languages in which a developer writes tools (V1's `source_type`, without `json`, which has no code). */
export const SOURCE_LANGUAGES = ['python', 'typescript'] as const
export type SourceLanguage = (typeof SOURCE_LANGUAGES)[number]

/** A package that a tool's code imports; no version: the newest. */
export interface Requirement {
  name: string
  version?: string | null | undefined
}

/** The code of a tool, and what it needs to run. */
export interface ToolSource {
  source_type: SourceLanguage
  source_code: string
  pip_requirements: readonly Requirement[]
  npm_requirements: readonly Requirement[]
}

/** What the wall lets through, as the source declares it (`loci:` lines in a comment); nothing by default. */
export interface ToolPermissions {
  network: boolean
  /** Folders and files it may read; absolute, or relative to the home directory with `~/`. */
  read: string[]
  /** Folders it may write, and read. */
  write: string[]
  /** Milliseconds of wall-clock time; null for the server's default. */
  timeout_ms: number | null
  /** Mebibytes; null for the server's default. */
  memory_mb: number | null
  /** Keep the process for the next call, and with it what the module remembers. */
  keep_state: boolean
}

/** What the code of a tool says about it, found without running it. */
export interface DerivedTool {
  name: string
  description: string
  /** In OpenAI's function shape; without `agent_state` and what else the runner fills in. */
  json_schema: ToolSchema
  permissions: ToolPermissions
  /** What the source itself asks for (`loci: pip requests==2.32`), besides what comes with the tool. */
  pip_requirements: Requirement[]
  npm_requirements: Requirement[]
  /** What is odd about the source and no reason to refuse it, each a sentence with its line. */
  warnings: string[]
}

/** A place in the source of a tool, and what is wrong there. Lines and columns count from 1. */
export interface SourceProblem {
  severity: 'error' | 'warning'
  /** A sentence that says how to mend it; without the line. */
  message: string
  line: number
  column: number
}

/** Reads the source of tools; never executes it. */
export interface ToolSources {
  /**
   * Throws `invalid_argument` for what cannot be derived: the message names the line (`data.line`, `data.column`, from 1;
   * `data.problems` has all of them) and says how to mend it. With `json_schema` only the rest is read, and source
   * without annotations is fine.
   */
  derive(
    source: Pick<ToolSource, 'source_type' | 'source_code'>,
    options?: DeriveOptions,
  ): Promise<DerivedTool>
  /** As `derive`, for an editor: all that is wrong or odd, in the order of its lines; `tool` is null when there are errors. */
  check(
    source: Pick<ToolSource, 'source_type' | 'source_code'>,
    options?: DeriveOptions,
  ): Promise<{ tool: DerivedTool | null; problems: SourceProblem[] }>
}

/** What is known of a tool besides its source. */
export interface DeriveOptions {
  /** Wins over what the source says. */
  json_schema?: ToolSchema | undefined
  /** A JSON schema of the arguments, in the place of the parameters. */
  args_json_schema?: Record<string, unknown> | undefined
  /** What the tool needs besides what its source names; only warnings depend on it. */
  pip_requirements?: readonly Requirement[] | undefined
  npm_requirements?: readonly Requirement[] | undefined
}

/** One call of a custom tool, by an agent or by a developer who tries it. */
export interface CustomToolCall {
  actor: Actor
  /** None: the tool is stored nowhere. */
  tool_id?: string | null | undefined
  name: string
  source: ToolSource
  permissions: ToolPermissions
  arguments: Record<string, unknown>
  /** All that the tool's environment holds besides what the runner needs: secrets of the agent, LETTA_* ids. */
  env: Readonly<Record<string, string>>
  /** The agent that calls, with its blocks as the turn sees them; null: a developer tries the tool. */
  agent: Agent | null
  run_id: string | null
}

/** What became of a call. Failure of the code is a result with status `error`, never a rejection. */
export interface CustomToolResult extends ToolResult {
  stdout: string[]
  stderr: string[]
  /** Values of blocks that the tool changed in `agent_state.memory`, by label. */
  memory_edits: Record<string, string>
}

/** What keeps tool code away from the machine. */
export interface ToolWall {
  /** `none`: nothing but the language's own limits; custom tools then need approval by default. */
  kind: 'bubblewrap' | 'namespaces' | 'sandbox-exec' | 'none'
  /** A sentence for people: what is enforced, or why there is no wall and what would make one. */
  description: string
}

/** Runs the code of custom tools, in processes of its own behind the wall. */
export interface CustomTools extends ToolSources {
  /** Lets a developer's debugger stop a call of `run`. */
  debugger(): Promise<ToolDebugger>
  wall(): Promise<ToolWall>
  /**
   * Runs one call. Rejects only when `signal` aborts; then nothing of the call is left running. `onProgress` hears of
   * what takes long before the call begins (the installation of requirements), a sentence each.
   */
  run(
    call: CustomToolCall,
    options: { signal: AbortSignal; onProgress?: ((text: string) => void) | undefined },
  ): Promise<CustomToolResult>
  /** Ends all processes. */
  close(): Promise<void>
}

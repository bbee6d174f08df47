import type { ToolBlock } from '../source/tool.ts'
import type { CompiledTool } from '../source/typescript-compile.ts'

/** What the process of a TypeScript tool is started with, as its one argument. */
export interface WorkerSettings {
  /** Absolute paths of what tools import by these names, and of the official client (CommonJS). */
  modules: { 'loci/tool': string; zod: string; client: string }
  /** Where `node_modules` with the tool's requirements is; null: there are none. */
  requirements: string | null
  /** Whether the wall lets it reach the network; a debugger's call may. */
  network?: boolean
  /** The developer's own file, for a debugger, in the place of the code that comes with the call; null: no debugger. */
  debug: string | null
}

/** A call, besides what each frame of its kind has. */
export interface WorkerCall extends Pick<CompiledTool, 'code' | 'entry'> {
  name: string
  arguments: Record<string, unknown>
  env: Record<string, string>
  agent: CallingAgent | null
}

/** The agent that calls, with its blocks. */
export interface CallingAgent {
  id: string
  name: string
  blocks: ToolBlock[]
  [field: string]: unknown
}

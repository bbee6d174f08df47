import type { CustomTools } from '../core/ports/custom-tools.ts'
import type { ToolCallInput, ToolOutcome, ToolRunner } from '../core/ports/tools.ts'
import { AppError } from '../schema/errors.ts'
import { archivalTools } from './archival-tools.ts'
import { fileTools } from './file-tools.ts'
import { memoryTool } from './memory-tool.ts'
import { memoryTools } from './memory-tools.ts'
import { searchTools } from './search-tools.ts'
import { speakingTools } from './speaking-tools.ts'
import { teamTools } from './team-tools.ts'
import { voiceTools } from './voice-tools.ts'
import { type WebOptions, webTools } from './web/web-tools.ts'

const OFFLINE: WebOptions = { allow_private: false, exa: { api_key: null, base_url: null } }

export interface ToolRunnerOptions {
  web?: WebOptions
  /** Runs tools of the user's own; without it they fail, and say so. */
  custom?: CustomTools
  /** Runs tools of MCP servers; without it they fail, and say so. */
  mcp?: (call: ToolCallInput, options: { signal: AbortSignal }) => Promise<ToolOutcome>
}

/** The tools that ship with Loci, and those that users bring, which run behind the operating system's wall. */
export function createToolRunner({ web = OFFLINE, custom, mcp }: ToolRunnerOptions = {}): ToolRunner {
  const builtins = [
    ...speakingTools,
    ...memoryTools,
    memoryTool,
    ...archivalTools,
    ...searchTools,
    ...teamTools,
    ...fileTools,
    ...voiceTools,
    ...webTools(web),
  ]
  const byName = new Map(builtins.map((builtin) => [builtin.name, builtin]))
  return {
    builtins,
    async run(call, { signal, onProgress }) {
      if (custom && call.tool.tool_type === 'custom') return runCustom(custom, call, { signal, onProgress })
      if (mcp && call.tool.tool_type === 'external_mcp') return mcp(call, { signal })
      const builtin = call.tool.tool_type === 'custom' ? undefined : byName.get(call.tool.name)
      if (!builtin)
        throw new AppError('tool_error', `tool '${call.tool.name}' cannot be run by this version of Loci`)
      return builtin.run(call, { signal })
    },
  }
}

/** Its blocks are those that the turn sees; what it changes there is written by the turn. */
async function runCustom(
  custom: CustomTools,
  call: ToolCallInput,
  options: Parameters<CustomTools['run']>[1],
): Promise<ToolOutcome> {
  // Most processes run none.
  const { callCode } = await import('../core/ports/tool-code.ts')
  const { actor, tool, arguments: args, run_id, memory } = call
  const agent = { ...call.agent, blocks: [...memory.blocks] }
  return callCode(
    custom,
    tool,
    { actor, arguments: args, run_id, agent, secrets: await call.secrets() },
    options,
  )
}

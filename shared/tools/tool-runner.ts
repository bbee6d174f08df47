import type { ToolRunner } from '../core/ports/tools.ts'
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

/** The tools that ship with Loci. Custom tools run behind the operating system's wall and are not here yet. */
export function createToolRunner(options: WebOptions = OFFLINE): ToolRunner {
  const builtins = [
    ...speakingTools,
    ...memoryTools,
    memoryTool,
    ...archivalTools,
    ...searchTools,
    ...teamTools,
    ...fileTools,
    ...voiceTools,
    ...webTools(options),
  ]
  const byName = new Map(builtins.map((builtin) => [builtin.name, builtin]))
  return {
    builtins,
    async run(call, { signal }) {
      const builtin = call.tool.tool_type === 'custom' ? undefined : byName.get(call.tool.name)
      if (!builtin)
        throw new AppError('tool_error', `tool '${call.tool.name}' cannot be run by this version of Loci`)
      return builtin.run(call, { signal })
    },
  }
}

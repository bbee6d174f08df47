import { logFailure } from '../failure.ts'
import { outliveUpdates } from '../loaded-code.ts'
import { untilStopped } from '../shutdown.ts'
import { tokenOf } from '../token.ts'
import { serveMcpStdio } from '../../mcp-server/main.ts'
import { preload } from '../../mcp-server/preload.ts'
import { DEFAULT_SETTINGS, type McpSettings, parseToolsets } from '../../mcp-server/settings.ts'

/** Options of `loci mcp`. */
export interface McpCommand {
  url?: string
  data?: string
  /** Name or id of the one agent to serve. */
  agent?: string
  /** Names with commas. */
  toolsets?: string
  readOnly?: boolean
}

/** What the options ask for. Throws `invalid_argument` for an unknown toolset. */
export function settingsOf({ agent, toolsets, readOnly }: McpCommand): McpSettings {
  return {
    ...DEFAULT_SETTINGS,
    ...(toolsets === undefined ? {} : { toolsets: parseToolsets(toolsets) }),
    agent: agent ?? null,
    read_only: readOnly ?? false,
  }
}

/** `loci mcp`: MCP on stdio over a server, or over the data directory in this process. Returns when the host has gone. */
export async function runMcp(options: McpCommand): Promise<void> {
  const settings = { ...settingsOf(options), local_files: true }
  const stop = new AbortController()
  void outliveUpdates(preload, (error) => logFailure('loading the tools', error))
  void untilStopped().then(() => stop.abort())
  if (options.url !== undefined) {
    const { connect } = await import('../../shared/client/http.ts')
    const client = connect({ url: options.url, token: tokenOf(process.env) })
    return serveMcpStdio({ settings, client: () => Promise.resolve(client), signal: stop.signal })
  }
  await serveMcpStdio({
    settings,
    async client() {
      const { openInProcess } = await import('../../shared/client/in-process.ts')
      return openInProcess({ data: options.data, onFailure: logFailure })
    },
    signal: stop.signal,
  })
}

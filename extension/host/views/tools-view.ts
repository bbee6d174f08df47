import { t } from '../l10n.ts'
import type { Library, ToolInfo } from '../library.ts'
import { byLabel, groupRow, type Entry } from './entry.ts'
import { mcpServerRow, toolRow } from './rows.ts'

/** The tools by where they come from: one's own first, then each MCP server with its health, then what is built in. */
export function toolEntries(library: Library): Entry[] {
  const tools = [...library.tools.values()]
  const own = tools.filter((tool) => tool.tool_type === 'custom')
  const builtIn = tools.filter((tool) => tool.tool_type !== 'custom' && tool.tool_type !== 'external_mcp')
  const servers = [...library.mcp_servers.values()].map((server) =>
    mcpServerRow(
      server,
      tools.filter((tool) => tool.mcp_server_id === server.id),
    ),
  )
  return [
    ...(own.length > 0 ? [{ ...group('custom', t('Custom'), 'symbol-method', own), expanded: true }] : []),
    ...servers.sort(byLabel),
    ...(builtIn.length > 0 ? [group('built-in', t('Built-in'), 'tools', builtIn)] : []),
  ]
}

function group(id: string, label: string, icon: string, tools: readonly ToolInfo[]): Entry {
  return groupRow(id, label, icon, String(tools.length), () =>
    tools.map((tool) => toolRow(tool)).sort(byLabel),
  )
}

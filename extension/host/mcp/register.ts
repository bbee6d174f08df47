import type { Services } from '../services.ts'
import { installMcpServer } from './install.ts'
import { registerMcpProvider } from './provider.ts'
import { t } from '../l10n.ts'

/** Loci's MCP server, offered to VS Code's own chat and to a folder's `mcp.json`. */
export function registerMcp(services: Services): void {
  services.context.subscriptions.push(
    ...registerMcpProvider(services),
    services.command('loci.installMcpServer', t('install its MCP server'), () => installMcpServer(services)),
  )
}

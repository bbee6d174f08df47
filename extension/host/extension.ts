import { l10n, type ExtensionContext } from 'vscode'
import { registerAgents } from './agents/register.ts'
import { registerBlocks } from './blocks/register.ts'
import { registerChat } from './chat/register.ts'
import type { Connection } from './connection.ts'
import { translateWith } from './l10n.ts'
import { registerContext } from './context/register.ts'
import { registerMcp } from './mcp/register.ts'
import { registerModels } from './models/register.ts'
import { registerProviders } from './providers/register.ts'
import { registerServer } from './server/register.ts'
import { createServices } from './services.ts'
import { registerTools } from './tools/register.ts'
import type { Entry } from './views/entry.ts'
import { registerViews, type ViewName } from './views/register.ts'
import { registerWalkthrough } from './walkthrough/register.ts'

let connection: Connection | null = null

/** What other extensions, and our tests, get from `getExtension('loci.loci').exports`: what is, as it is now. */
export interface LociExports {
  /** Address of the server; null while there is none. */
  serverUrl(): string | null
  /** Process id of the server, when this window started it. */
  serverPid(): number | null
  /** Rows of a view. */
  entries(view: ViewName): Entry[]
  /** How long it took to register the parts, in milliseconds. */
  activationTime: number
}

/** Registers the parts. The server is started by the first view that is shown or the first command that needs it. */
export function activate(context: ExtensionContext): LociExports {
  const begun = performance.now()
  translateWith((message, ...args) => l10n.t(message, ...args))
  const services = createServices(context)
  const { server } = services
  connection = server
  registerServer(services)
  const { entries, selection } = registerViews(services)
  registerAgents(services, selection)
  registerProviders(services)
  registerModels(services)
  registerMcp(services)
  registerTools(services)
  registerChat(services)
  registerContext(services)
  registerBlocks(services)
  registerWalkthrough(services)
  return {
    serverUrl: () => (server.state.kind === 'connected' ? server.state.url : null),
    serverPid: () => server.pid,
    entries,
    activationTime: performance.now() - begun,
  }
}

/** VS Code waits for this a few seconds: the server we started ends with the window. */
export async function deactivate(): Promise<void> {
  await connection?.stop()
}

import { commands, workspace } from 'vscode'
import { startServer } from '../commands/start-server.ts'
import { reportConnectionFailures, told } from '../failures.ts'
import type { Services } from '../services.ts'
import { createStatus } from '../status.ts'

/** The server: its status bar item, its commands, and following the settings that say where it is. */
export function registerServer(services: Services): void {
  const { context, server, library, command } = services
  context.subscriptions.push(
    createStatus(server),
    reportConnectionFailures(server),
    workspace.onDidChangeConfiguration((change) => {
      if (!change.affectsConfiguration('loci') || server.state.kind === 'stopped') return
      void told('connect with the new settings', server, async () => {
        await server.stop()
        library.clear()
        await server.client()
      })
    }),
    command('loci.startServer', 'start the server', () => startServer(server)),
    commands.registerCommand('loci.showLogs', () => services.showLogs()),
  )
}

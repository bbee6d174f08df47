import { commands, workspace } from 'vscode'
import { reportConnectionFailures, told } from '../failures.ts'
import type { Services } from '../services.ts'
import { createStatus } from '../status.ts'
import { connectToServer } from './connect-to-server.ts'
import { deleteAllData } from './delete-data.ts'
import { runDiagnostics } from './diagnostics.ts'
import { showServerMenu } from './server-menu.ts'
import { copyServerUrl, mayEndTurns, openApiDocs, startLocalServer } from './start-server.ts'
import { t } from '../l10n.ts'

/** The server: its status bar item, its commands, and following the settings that say where it is. */
export function registerServer(services: Services): void {
  const { context, server, library, command } = services
  const isBusy = () => [...library.activity.values()].includes('running')
  /** Settings that a running server would have to be started again for. */
  const moved = ['loci.server.url', 'loci.dataDirectory', 'loci.server.requireToken']
  context.subscriptions.push(
    createStatus(server),
    reportConnectionFailures(server),
    workspace.onDidChangeConfiguration((change) => {
      if (!moved.some((key) => change.affectsConfiguration(key)) || server.state.kind === 'stopped') return
      void told(t('connect with the new settings'), server, async () => {
        await server.stop()
        library.clear()
        await server.client()
      })
    }),
    workspace.onDidGrantWorkspaceTrust(() => library.clear()),
    command('loci.startServer', t('start the server'), () => startLocalServer(server, isBusy)),
    command('loci.stopServer', t('stop the server'), async () => {
      if (isBusy() && !(await mayEndTurns(t('Stopping the server')))) return
      await server.stop({ asked: true })
      library.clear()
    }),
    command('loci.restartServer', t('restart the server'), async () => {
      if (isBusy() && !(await mayEndTurns(t('Restarting the server')))) return
      await server.restart()
    }),
    command('loci.copyServerUrl', t('find the server'), () => copyServerUrl(server)),
    command('loci.openApiDocs', t('open the API documentation'), () => openApiDocs(server)),
    command('loci.connectToServer', t('connect to that server'), () => connectToServer(services)),
    command('loci.runDiagnostics', t('run its diagnostics'), () => runDiagnostics(services)),
    command('loci.deleteAllData', t('delete its data'), () => deleteAllData(services)),
    commands.registerCommand('loci.serverMenu', () => showServerMenu(server.state)),
    commands.registerCommand('loci.showLogs', () => services.showLogs()),
  )
}

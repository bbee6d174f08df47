import { commands, QuickPickItemKind, window, type QuickPickItem } from 'vscode'
import type { ConnectionState } from '../connection.ts'
import { statusLook } from '../status.ts'
import { t } from '../l10n.ts'

interface MenuItem extends QuickPickItem {
  command?: string
}

/** What can be done with the server in this state, most likely first. */
export function serverMenu(state: ConnectionState): MenuItem[] {
  const start = item(
    t('$(play) Start Local Server'),
    'loci.startServer',
    t('A REST API for curl, SDKs and apps'),
  )
  const stop = item(t('$(debug-stop) Stop Local Server'), 'loci.stopServer', t('Agents stay as they are'))
  const restart = item(t('$(debug-restart) Restart Local Server'), 'loci.restartServer')
  const reach = [
    item(t('$(copy) Copy Server URL and Token'), 'loci.copyServerUrl'),
    item(t('$(book) Open API Docs'), 'loci.openApiDocs'),
  ]
  const rest = [
    { label: 'Connections', kind: QuickPickItemKind.Separator },
    item(t('$(key) Connect Model Provider…'), 'loci.connectProvider'),
    item(t('$(plug) Connect to Server…'), 'loci.connectToServer'),
    { label: t('When something is wrong'), kind: QuickPickItemKind.Separator },
    item(t('$(output) Show Logs'), 'loci.showLogs'),
    item(t('$(pulse) Run Diagnostics'), 'loci.runDiagnostics'),
  ]
  const own = state.kind === 'connected' && state.own
  if (own) return [...(state.local ? [] : [start]), ...reach, restart, stop, ...rest]
  const again = item('$(debug-restart) Reconnect', 'loci.restartServer')
  if (state.kind === 'connected' || state.kind === 'lost') return [...reach, again, ...rest]
  if (state.kind === 'starting') return [stop, ...rest]
  return [start, ...rest]
}

function item(label: string, command: string, description?: string): MenuItem {
  return { label, command, ...(description === undefined ? {} : { description }) }
}

/** The menu of the status bar item. */
export async function showServerMenu(state: ConnectionState): Promise<void> {
  const { tooltip } = statusLook(state)
  const picked = await window.showQuickPick(serverMenu(state), { title: 'Loci', placeHolder: tooltip })
  if (picked?.command !== undefined) await commands.executeCommand(picked.command)
}

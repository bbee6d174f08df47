import { commands, QuickPickItemKind, window, type QuickPickItem } from 'vscode'
import type { ConnectionState } from '../connection.ts'
import { statusLook } from '../status.ts'

interface MenuItem extends QuickPickItem {
  command?: string
}

/** What can be done with the server in this state, most likely first. */
export function serverMenu(state: ConnectionState): MenuItem[] {
  const start = item('$(play) Start Local Server', 'loci.startServer', 'A REST API for curl, SDKs and apps')
  const stop = item('$(debug-stop) Stop Local Server', 'loci.stopServer', 'Agents stay as they are')
  const restart = item('$(debug-restart) Restart Local Server', 'loci.restartServer')
  const reach = [
    item('$(copy) Copy Server URL and Token', 'loci.copyServerUrl'),
    item('$(book) Open API Docs', 'loci.openApiDocs'),
  ]
  const rest = [
    { label: 'Connections', kind: QuickPickItemKind.Separator },
    item('$(key) Connect Model Provider…', 'loci.connectProvider'),
    item('$(plug) Connect to Server…', 'loci.connectToServer'),
    { label: 'When something is wrong', kind: QuickPickItemKind.Separator },
    item('$(output) Show Logs', 'loci.showLogs'),
    item('$(pulse) Run Diagnostics', 'loci.runDiagnostics'),
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

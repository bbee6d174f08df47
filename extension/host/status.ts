import { commands, StatusBarAlignment, ThemeColor, window, type Disposable } from 'vscode'
import type { Connection, ConnectionState } from './connection.ts'

/** The one status bar item, and the context key `loci.state` that menus and welcome texts ask for. */
export function createStatus(connection: Connection): Disposable {
  const item = window.createStatusBarItem('loci.status', StatusBarAlignment.Left)
  item.name = 'Loci'
  const show = (state: ConnectionState) => {
    const look = lookOf(state)
    item.text = look.text
    item.tooltip = look.tooltip
    item.command = look.command
    item.accessibilityInformation = { label: `Loci: ${look.tooltip}` }
    item.backgroundColor = look.error ? new ThemeColor('statusBarItem.errorBackground') : undefined
    void commands.executeCommand('setContext', 'loci.state', state.kind)
  }
  show(connection.state)
  item.show()
  const following = connection.onDidChangeState(show)
  return {
    dispose() {
      following.dispose()
      item.dispose()
    },
  }
}

interface Look {
  text: string
  tooltip: string
  command: string
  error?: boolean
}

function lookOf(state: ConnectionState): Look {
  switch (state.kind) {
    case 'stopped':
      return {
        text: '$(circle-outline) Loci',
        tooltip: 'The server is not running. Choose to start it.',
        command: 'loci.startServer',
      }
    case 'starting':
      return { text: '$(loading~spin) Loci', tooltip: `${state.message}…`, command: 'loci.showLogs' }
    case 'connected':
      return {
        text: '$(pass) Loci',
        tooltip: `${state.own ? 'Server of this window' : 'Server'} at ${state.url}, version ${state.version}`,
        command: 'loci.startServer',
      }
    case 'lost':
      return {
        text: '$(sync~spin) Loci',
        tooltip: `Trying again to reach ${state.url}. ${state.message}`,
        command: 'loci.showLogs',
      }
    case 'failed':
      return { text: '$(error) Loci', tooltip: state.message, command: 'loci.startServer', error: true }
  }
}

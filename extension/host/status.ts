import { commands, StatusBarAlignment, ThemeColor, window, type Disposable } from 'vscode'
import type { Connection, ConnectionState } from './connection.ts'

/** The one status bar item, and the context keys `loci.state` and `loci.own` that menus and welcome texts ask for. */
export function createStatus(connection: Connection): Disposable {
  const item = window.createStatusBarItem('loci.status', StatusBarAlignment.Left)
  item.name = 'Loci'
  item.command = 'loci.serverMenu'
  const show = (state: ConnectionState) => {
    const look = statusLook(state)
    item.text = look.text
    item.tooltip = look.tooltip
    item.accessibilityInformation = { label: `Loci: ${look.tooltip}`, role: 'button' }
    item.backgroundColor = look.error ? new ThemeColor('statusBarItem.errorBackground') : undefined
    void commands.executeCommand('setContext', 'loci.state', state.kind)
    void commands.executeCommand('setContext', 'loci.own', state.kind === 'connected' && state.own)
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
  error?: boolean
}

/** What the status bar says in each state. */
export function statusLook(state: ConnectionState): Look {
  switch (state.kind) {
    case 'stopped':
      return { text: '$(circle-outline) Loci', tooltip: 'The server is not running' }
    case 'starting':
      return { text: '$(loading~spin) Loci', tooltip: `${state.message}…` }
    case 'connected':
      return connectedLook(state)
    case 'lost':
      return {
        text: '$(sync~spin) Loci',
        tooltip: `Trying again to reach ${state.url}. ${state.message}`,
      }
    case 'failed':
      return { text: '$(error) Loci', tooltip: state.message, error: true }
  }
}

function connectedLook({ url, version, own, local, polled }: ConnectionState & { kind: 'connected' }): Look {
  const { host, port } = new URL(url)
  if (polled)
    return {
      text: `$(remote) Loci ${host}`,
      tooltip: `Connected to ${url}, version ${version}: a Letta server that is not Loci. It tells no changes (views are read again every 30 seconds) and keeps no versions of blocks`,
    }
  if (!own) return { text: `$(remote) Loci ${host}`, tooltip: `Connected to ${url}, version ${version}` }
  const ends = 'It stops when this window closes.'
  if (local)
    return { text: `$(pass) Loci :${port}`, tooltip: `Local server at ${url}, version ${version}. ${ends}` }
  return {
    text: '$(pass) Loci',
    tooltip: `Running for this window on port ${port}, version ${version}. ${ends}`,
  }
}

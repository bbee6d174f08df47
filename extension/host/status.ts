import { commands, StatusBarAlignment, ThemeColor, window, type Disposable } from 'vscode'
import type { Connection, ConnectionState } from './connection.ts'
import { t } from './l10n.ts'

/** The one status bar item, and the context keys `loci.state` and `loci.own` that menus and welcome texts ask for. */
export function createStatus(connection: Connection): Disposable {
  const item = window.createStatusBarItem('loci.status', StatusBarAlignment.Left)
  item.name = 'Loci'
  item.command = 'loci.serverMenu'
  const show = (state: ConnectionState) => {
    const look = statusLook(state)
    item.text = look.text
    item.tooltip = look.tooltip
    item.accessibilityInformation = { label: t('Loci: {0}', look.tooltip), role: 'button' }
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
      return { text: '$(circle-outline) Loci', tooltip: t('The server is not running') }
    case 'starting':
      return { text: '$(loading~spin) Loci', tooltip: `${state.message}…` }
    case 'connected':
      return connectedLook(state)
    case 'lost':
      return {
        text: '$(sync~spin) Loci',
        tooltip: t('Trying again to reach {0}. {1}', state.url, state.message),
      }
    case 'failed':
      return { text: '$(error) Loci', tooltip: state.message, error: true }
  }
}

function connectedLook({ url, version, own, local, polled }: ConnectionState & { kind: 'connected' }): Look {
  const { host, port } = new URL(url)
  if (polled)
    return {
      text: t('$(remote) Loci {0}', host),
      tooltip: t(
        'Connected to {0}, version {1}: a Letta server that is not Loci. It tells no changes (views are read again every 30 seconds) and keeps no versions of blocks',
        url,
        version,
      ),
    }
  if (!own)
    return { text: t('$(remote) Loci {0}', host), tooltip: t('Connected to {0}, version {1}', url, version) }
  const ends = t('It stops when this window closes.')
  if (local)
    return {
      text: `$(pass) Loci :${port}`,
      tooltip: t('Local server at {0}, version {1}. {2}', url, version, ends),
    }
  return {
    text: '$(pass) Loci',
    tooltip: t('Running for this window on port {0}, version {1}. {2}', port, version, ends),
  }
}

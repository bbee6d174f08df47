import { commands, env, Uri, window, workspace } from 'vscode'
import type { Connection } from '../connection.ts'
import { dataPlace, readSettings } from '../settings.ts'
import { t } from '../l10n.ts'

/** Whether a turn of an agent is under way, which a restart of our server would end. */
export type IsBusy = () => boolean

/**
 * Starts (or finds) the server that curl and other programs can use, and says where it is, with what copies its address.
 * Throws when it cannot start.
 */
export async function startLocalServer(connection: Connection, isBusy: IsBusy): Promise<void> {
  const { url } = readSettings()
  if (url !== null) {
    const local = t('Use a Local Server')
    const choice = await window.showInformationMessage(
      t('Loci uses the server at {0}, as the setting loci.server.url says.', url),
      local,
    )
    if (choice !== local) return
    await workspace.getConfiguration('loci').update('server.url', undefined, true)
  }
  const { state } = connection
  const moves = state.kind === 'connected' && state.own && !state.local
  if (moves && isBusy() && !(await mayEndTurns(t('Starting the server for other programs')))) return
  await connection.startLocal()
  told(connection)
}

/** Asks before turns are ended by `doing`. */
export async function mayEndTurns(doing: string): Promise<boolean> {
  const go = t('End It and Go On')
  const detail = t('What it has said so far is kept.')
  const modal = { modal: true, detail }
  return (
    (await window.showWarningMessage(
      t('{0} ends the answer that an agent is writing.', doing),
      modal,
      go,
    )) === go
  )
}

function told(connection: Connection): void {
  const { state } = connection
  if (state.kind !== 'connected') return
  const { port } = readSettings()
  const elsewhere = new URL(state.url).port === String(port) ? '' : t(' (port {0} was taken)', port)
  const text = t(
    'Loci serves its REST API at {0}{2}. It stops when this window closes; “loci server” in a terminal stays. Data: {1}.',
    state.url,
    dataPlace(readSettings()),
    elsewhere,
  )
  void window
    .showInformationMessage(text, t('Copy URL and Token'), t('Copy curl'), t('Open API Docs'))
    .then((choice) => {
      if (choice === t('Copy URL and Token')) return commands.executeCommand('loci.copyServerUrl')
      if (choice === t('Copy curl')) return env.clipboard.writeText(curlLine(state.url, connection.token))
      if (choice === t('Open API Docs')) return commands.executeCommand('loci.openApiDocs')
      return undefined
    })
}

/** A command for a terminal that lists the agents. */
export function curlLine(url: string, token: string | null): string {
  const header = token === null ? '' : ` -H 'Authorization: Bearer ${token}'`
  return `curl${header} ${url}/v1/agents/`
}

/** Copies where the server is, as the lines that the official clients read from the environment. */
export async function copyServerUrl(connection: Connection): Promise<void> {
  await connection.client()
  const { state, token } = connection
  if (!('url' in state)) return
  const lines = [`LETTA_BASE_URL=${state.url}`, ...(token === null ? [] : [`LETTA_API_KEY=${token}`])]
  await env.clipboard.writeText(lines.join('\n'))
  window.setStatusBarMessage(
    token === null
      ? t('$(check) Copied the server’s URL; it needs no token')
      : t('$(check) Copied URL and token'),
    5_000,
  )
}

/** Opens the server's own API documentation in the browser, through the editor's tunnel where there is one. */
export async function openApiDocs(connection: Connection): Promise<void> {
  await connection.client()
  const { state } = connection
  if (!('url' in state)) return
  await env.openExternal(await env.asExternalUri(Uri.parse(`${state.url}/docs`)))
}

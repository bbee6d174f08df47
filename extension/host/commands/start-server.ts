import { env, window } from 'vscode'
import type { Connection } from '../connection.ts'
import { dataPlace, readSettings } from '../settings.ts'

/** Starts (or finds) the server and says where it is, with what copies its address. Throws when it cannot start. */
export async function startServer(connection: Connection): Promise<void> {
  await connection.client()
  const { state } = connection
  if (state.kind !== 'connected' && state.kind !== 'lost') return
  const own = state.kind === 'connected' && state.own
  const text = own
    ? `Loci serves the REST API at ${state.url} until this window closes. Data: ${dataPlace(readSettings())}.`
    : `Loci uses the server at ${state.url}.`
  void window.showInformationMessage(text, 'Copy URL', 'Copy curl').then((choice) => {
    if (choice === undefined) return
    return env.clipboard.writeText(choice === 'Copy URL' ? state.url : `curl ${state.url}/v1/agents/`)
  })
}

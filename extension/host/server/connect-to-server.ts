import { ConfigurationTarget, window, workspace } from 'vscode'
import type { Services } from '../services.ts'
import { t } from '../l10n.ts'

/**
 * Asks for address and token, tries them, and keeps them: the address in the settings, the token in secret storage. The
 * connection follows. Throws what the server answered.
 */
export async function connectToServer({ server, tokens }: Services): Promise<void> {
  const config = workspace.getConfiguration('loci')
  const given = await window.showInputBox({
    title: t('Connect to Server (1/2): Address'),
    prompt: t('Where is the server? Empty: a server of this window.'),
    placeHolder: 'http://127.0.0.1:8283',
    value: config.get<string>('server.url') ?? '',
    validateInput: checkServerUrl,
    ignoreFocusOut: true,
  })
  if (given === undefined) return
  const url = given.trim().replace(/\/+$/, '')
  if (url === '') {
    await config.update('server.url', undefined, ConfigurationTarget.Global)
    return
  }
  const known = await tokens.of(url)
  const token = await window.showInputBox({
    title: t('Connect to Server (2/2): Token'),
    prompt: t(
      "What {0} wants as its key; empty when it wants none. It is kept in the editor's secret storage.",
      url,
    ),
    value: known ?? '',
    password: true,
    ignoreFocusOut: true,
  })
  if (token === undefined) return
  const { connect, describeFailure } = await import('../../../shared/client/http.ts')
  const client = connect({ url, token: token || undefined })
  try {
    await client.health()
    await client.letta.agents.list({ limit: 1 })
  } catch (error) {
    throw new Error(describeFailure(error, url), { cause: error })
  } finally {
    await client.close()
  }
  await tokens.keep(url, token)
  if (config.get<string>('server.url') === url) await server.restart()
  else await config.update('server.url', url, ConfigurationTarget.Global)
}

/** What is wrong with a server's address, in a sentence; null for a good one, and for none. */
export function checkServerUrl(text: string): string | null {
  const value = text.trim()
  if (value === '') return null
  const url = URL.parse(value)
  if (!url || !/^https?:$/.test(url.protocol)) return t('Write it like http://127.0.0.1:8283.')
  if (url.username !== '' || url.password !== '') return t('The token is asked for next; leave it out here.')
  return null
}

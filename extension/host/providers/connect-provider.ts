import { ProgressLocation, window } from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import type { CreateProvider, ProviderState } from '../../../shared/schema/provider.ts'
import { checkProviderName, checkProviderUrl, PROVIDER_KINDS, type ProviderKind } from './provider-kinds.ts'
import { t } from '../l10n.ts'

/** What became of the wizard, for who opened it. */
export type Connected = { name: string; models: number } | null

/**
 * Asks for kind, name, address and key of a model provider, asks the provider itself whether they are right, and keeps
 * them with the server: the key is in no setting and no log. Null when the user changes their mind. Throws what the client
 * throws; a provider that refuses is told with its address and cause, and asked about again.
 */
export async function connectProvider(client: LociClient): Promise<Connected> {
  const { letta } = client
  const existing = await letta.get<ProviderState[]>('/v1/providers')
  const kind = await pickKind()
  if (!kind) return null
  const own = kind.name === 'custom'
  const taken = existing.map(({ name }) => name)
  let name = kind.name
  if (own || taken.includes(name)) {
    const given = await window.showInputBox({
      title: t('{0}: Name', kind.title),
      prompt: t('What is it called? Its models are then name/model.'),
      value: own ? '' : freeProviderName(name, taken),
      validateInput: (text) => checkProviderName(text, taken),
      ignoreFocusOut: true,
    })
    if (given === undefined) return null
    name = given.trim()
  }
  const draft: CreateProvider = { name, provider_type: kind.provider_type, api_key: '' }
  for (;;) {
    if (!(await askConnection(kind, draft))) return null
    const problem = await test(client, draft)
    if (problem === null) break
    const again = t('Change Address or Key')
    const anyway = t('Save Anyway')
    const choice = await window.showErrorMessage(
      t('{0} does not answer as it should', kind.title),
      { modal: true, detail: problem },
      again,
      anyway,
    )
    if (choice === undefined) return null
    if (choice === anyway) break
  }
  await letta.post('/v1/providers', { body: draft, maxRetries: 0 })
  const models = (await letta.models.list()).filter((model) => model.handle?.startsWith(`${name}/`)).length
  return { name, models }
}

async function pickKind(): Promise<ProviderKind | null> {
  const items = PROVIDER_KINDS.map((kind) => ({
    label: kind.title,
    description: kind.local && kind.url !== '' ? t('on this machine') : '',
    offer: kind,
  }))
  const picked = await window.showQuickPick(items, {
    title: t('Connect Model Provider'),
    placeHolder: t('Whose models do your agents think with?'),
    ignoreFocusOut: true,
  })
  return picked?.offer ?? null
}

/** Fills in address and key. False when the user changes their mind. */
async function askConnection(kind: ProviderKind, draft: CreateProvider): Promise<boolean> {
  if (kind.url !== undefined) {
    const url = await window.showInputBox({
      title: t('{0}: Address', kind.title),
      prompt: t('Where is it? The root of its API, which often ends in /v1.'),
      value: draft.base_url ?? kind.url,
      validateInput: checkProviderUrl,
      ignoreFocusOut: true,
    })
    if (url === undefined) return false
    draft.base_url = url.trim()
  }
  const key = await window.showInputBox({
    title: t('{0}: Key', kind.title),
    prompt: kind.local
      ? t('The key, where it wants one; else leave it empty.')
      : t('The API key. The server keeps it in its own config.json, readable by you alone.'),
    value: draft.api_key,
    password: true,
    validateInput: (text) => (kind.local || text.trim() !== '' ? null : t('{0} needs a key.', kind.title)),
    ignoreFocusOut: true,
  })
  if (key === undefined) return false
  draft.api_key = key.trim()
  return true
}

/** Asks the provider for its models. What is wrong in a sentence, with its address and cause; null when it answered. */
async function test(client: LociClient, draft: CreateProvider): Promise<string | null> {
  const { describeFailure } = await import('../../../shared/client/http.ts')
  const { name: _, ...connection } = draft
  return window.withProgress(
    { location: ProgressLocation.Notification, title: t('Asking {0} for its models', draft.name) },
    async () => {
      try {
        await client.letta.post('/v1/providers/check', { body: connection, maxRetries: 0 })
        return null
      } catch (error) {
        return describeFailure(error, client.url)
      }
    },
  )
}

/** `openai-2` and so on. */
export function freeProviderName(name: string, taken: readonly string[]): string {
  for (let n = 2; ; n++) if (!taken.includes(`${name}-${n}`)) return `${name}-${n}`
}

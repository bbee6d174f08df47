import { commands, Uri, window, workspace, type Disposable, type TextDocument } from 'vscode'
import { settingsChange } from '../../../shared/client/tool-files.ts'
import { told } from '../failures.ts'
import type { Services } from '../services.ts'
import { attachThisTool, nameOfTool } from './attach.ts'
import type { Checks } from './checks.ts'
import { schemaUri, serverSchemaUri, serverSourceUri } from './server-documents.ts'
import { differs, pushTool, toolNamed } from './server-tool.ts'
import { isTool, nameOf, readTool } from './tool-document.ts'
import { t } from '../l10n.ts'

const PUSH = t('Push')
const ATTACH = t('Push and Attach…')
const CHANGES = t('Show Changes')
const ALWAYS = t('Always Push on Save')

/** When a tool that is saved goes to the server. */
type PushOnSave = 'ask' | 'always' | 'never'

function pushOnSave(uri: Uri): PushOnSave {
  return workspace.getConfiguration('loci', uri).get<PushOnSave>('tools.pushOnSave') ?? 'ask'
}

/** Pushes the tool of this file; says what changed, also when nothing did. Throws when it cannot be read. */
export async function pushThisTool(uri: Uri, services: Services, checks: Checks): Promise<void> {
  const name = await nameOfTool(uri, checks)
  const client = await services.server.client()
  const [file, there] = [await readTool(uri), await toolNamed(client, name)]
  if (there && !differs(file, there)) return said(t('{0}: unchanged', name))
  await pushTool(client, file, there)
  said(there ? t('{0}: changed on the server', name) : t('{0}: new on the server', name))
}

function said(text: string): void {
  window.setStatusBarMessage(`$(check) ${text}`, 5_000)
}

/** Shows what a push of the file would change, code, settings and schema, each the server's beside the file's. */
export async function showChanges(uri: Uri, services: Services, checks: Checks): Promise<void> {
  const name = await nameOfTool(uri, checks)
  const there = await toolNamed(await services.server.client(), name)
  if (!there) {
    void window.showInformationMessage(t('The server has no {0} yet: a push makes it.', name))
    return
  }
  const file = await readTool(uri)
  if (!differs(file, there)) {
    void window.showInformationMessage(t('{0} is the same here and on the server.', name))
    return
  }
  const settings = settingsChange(file.settings, there)
  const schema = schemaUri(uri, name)
  await commands.executeCommand('vscode.changes', t('{0}: the server ↔ {1}', name, nameOf(uri)), [
    [uri, serverSourceUri(there), uri],
    [schema, serverSchemaUri(name), schema],
    ...(settings ? [settingsSides(name, settings)] : []),
  ])
}

function settingsSides(name: string, { before, after }: { before: string; after: string }): [Uri, Uri, Uri] {
  const side = (text: string, from: string) =>
    Uri.from({ scheme: 'loci-tool', path: `/settings/${from}/${name}.tool.json`, query: text })
  return [side(after, 'file'), side(before, 'server'), side(after, 'file')]
}

/** Offers to push a tool when it is saved and the server has another one, or none; or does it, as the setting says. */
export function offerPushOnSave(services: Services, checks: Checks): Disposable {
  const { server } = services
  /** The files that a question about is open. */
  const asking = new Set<string>()

  async function saved({ uri }: TextDocument): Promise<void> {
    const mode = pushOnSave(uri)
    if (mode === 'never' || !workspace.isTrusted || server.state.kind !== 'connected') return
    const client = await server.client()
    const { name, errors } = await checks.check(uri)
    // They are shown in the file.
    if (errors.length > 0 || name === null) return
    const there = await toolNamed(client, name)
    if (there && !differs(await readTool(uri), there)) return
    if (mode === 'always') return pushThisTool(uri, services, checks)
    if (!asking.has(uri.toString())) await ask(uri, name, there !== null)
  }

  async function ask(uri: Uri, name: string, known: boolean): Promise<void> {
    const key = uri.toString()
    asking.add(key)
    try {
      const choice = known
        ? await window.showInformationMessage(
            t('{0} is saved. Agents call the server’s version until it is pushed.', name),
            PUSH,
            CHANGES,
            ALWAYS,
          )
        : await window.showInformationMessage(
            t('{0} is saved. The server does not have it yet, so no agent can call it.', name),
            PUSH,
            ATTACH,
            ALWAYS,
          )
      if (choice === CHANGES) {
        await showChanges(uri, services, checks)
        asking.delete(key)
        return ask(uri, name, known)
      }
      if (choice === ALWAYS)
        await workspace.getConfiguration('loci').update('tools.pushOnSave', 'always', true)
      if (choice !== undefined) await pushThisTool(uri, services, checks)
      if (choice === ATTACH) await attachThisTool(uri, services, checks)
    } finally {
      asking.delete(key)
    }
  }

  return workspace.onDidSaveTextDocument((document) => {
    if (isTool(document.uri)) void told(t('push the tool'), server, () => saved(document))
  })
}

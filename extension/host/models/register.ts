import { lm, workspace } from 'vscode'
import { AgentModels } from './chat-provider.ts'
import type { Services } from '../services.ts'
import { told } from '../failures.ts'
import { OWN_VENDOR, type EditorModel, type EditorModels } from './editor-models.ts'
import type { Offer } from './offer.ts'
import { registerParticipant } from './participant.ts'
import { registerTools } from './tools.ts'

/** The editor's own models for agents, offered to the server while this window is connected to one; agents as models of the editor. */
export function registerModels(services: Services): void {
  const { context, server, command, log } = services
  let offer: Promise<Offer> | null = null

  let found: Promise<EditorModels> | null = null
  const models = () =>
    (found ??= import('./vscode-models.ts').then(({ vscodeModels }) => vscodeModels(context)))
  const propose = (model: EditorModel) =>
    void told('use the model', server, async () => (await import('./use-models.ts')).proposeModel(model))
  const open = async (): Promise<Offer> => {
    const { createOffer } = await import('./offer.ts')
    return createOffer({ models: await models(), onConsentMissing: propose, log })
  }
  const isWanted = () =>
    workspace.isTrusted && workspace.getConfiguration('loci').get('editorModels.share') !== false
  const follow = async () => {
    if (server.state.kind !== 'connected') return
    if (isWanted()) {
      offer ??= open()
      await (await offer).to(await server.client())
    } else if (offer) {
      const before = await offer
      offer = null
      await before.withdraw()
    }
  }
  const logged = (work: Promise<unknown> | undefined) =>
    void work?.catch(async (error: unknown) =>
      log(`The editor's models could not be offered: ${await server.describe(error)}`),
    )

  const agents = new AgentModels(services)
  context.subscriptions.push(
    agents,
    ...registerTools(services),
    registerParticipant(services),
    lm.registerLanguageModelChatProvider(OWN_VENDOR, agents),
    services.onDidChangeLibrary(() => agents.update()),
    server.onDidChangeState(({ kind }) => {
      if (kind !== 'connected') return
      logged(follow())
      agents.connected()
    }),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('loci.editorModels')) logged(follow())
    }),
    lm.onDidChangeChatModels(() => {
      if (server.state.kind === 'connected') logged(offer?.then((now) => now.changed()))
    }),
    command('loci.useEditorModels', 'use the editor’s models', async () => {
      // A model is of use only to agents that a server has.
      await server.client()
      await (await import('./use-models.ts')).pickModel(await models())
    }),
  )
}

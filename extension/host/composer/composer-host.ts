import { commands, Uri, window, type TextEditor } from 'vscode'
import type { Attachment } from '../../composer-protocol.ts'
import type { ComposerEnvelope } from '../../protocol.ts'
import { t } from '../l10n.ts'
import type { Services } from '../services.ts'
import { firstWords } from '../views/entry.ts'
import { createDrafts, type Drafts } from './drafts.ts'
import {
  attachFile,
  attachSelection,
  createFileFinder,
  readText,
  SELECTION,
  selectionChoice,
} from './files.ts'
import { pickContext, pickConversation, pickModel, type Conversation } from './pickers.ts'

/** The host's side of all composers of this window. */
export interface ComposerHost {
  /** The reply; `show` brings up another conversation. Rejects with what the client throws, or a sentence. */
  answer(
    place: Conversation,
    request: ComposerEnvelope,
    show: (conversation: Conversation) => unknown,
  ): Promise<unknown>
  /** Adds to what is being written there. Views of it that are open are told by the caller. */
  add(place: Conversation, attachments: readonly Attachment[]): Promise<void>
}

/** Drafts lie in the workspace's storage. All of it ends with the extension. */
export function createComposerHost({ context, server }: Services): ComposerHost {
  const folder = Uri.joinPath(context.storageUri ?? context.globalStorageUri, 'drafts')
  const drafts: Drafts = createDrafts(folder.fsPath, (error) => {
    void window.showWarningMessage(t('Loci could not keep what you are writing on disk: {0}', String(error)))
  })
  const find = createFileFinder()
  let last: TextEditor | undefined = window.activeTextEditor
  context.subscriptions.push(
    window.onDidChangeActiveTextEditor((editor) => {
      if (editor) last = editor
    }),
    { dispose: () => void drafts.settled().catch(() => undefined) },
  )

  const chooseModel = async ({ agent_id }: Conversation) => {
    const { letta } = await server.client()
    const { model } = await letta.agents.retrieve(agent_id)
    const picked = await pickModel(letta, model ?? null)
    if (picked === 'connect') await commands.executeCommand('loci.connectProvider')
    else if (picked) await letta.agents.update(agent_id, { model: picked.handle })
  }
  const attach = async (uri: string) => {
    if (uri !== SELECTION) return attachFile(Uri.parse(uri))
    const attachment = last?.document.isClosed ? null : attachSelection(last)
    if (!attachment) throw new Error(t('Nothing is selected any more.'))
    return attachment
  }
  return {
    async answer(place, request, show) {
      const { method, params } = request
      switch (method) {
        case 'composer.open': {
          const [draft, conversation] = await Promise.all([drafts.read(keyOf(place)), titleOf(place)])
          return { draft, conversation }
        }
        case 'composer.keep':
          await drafts.keep(keyOf(place), params.text, params.attachments)
          return null
        case 'composer.pickConversation': {
          const picked = await pickConversation((await server.client()).letta, place)
          if (picked) await show(picked)
          return null
        }
        case 'composer.pickModel':
          await chooseModel(place)
          return null
        case 'composer.pickContext':
          return pickContext(last && !last.document.isClosed ? last : undefined)
        case 'composer.findFiles':
          return [...selectionChoice(last, params.query), ...(await find(params.query))]
        case 'composer.attach':
          return Promise.all(params.uris.map(attach))
        case 'composer.read':
          return Promise.all(params.uris.map((uri) => readText(Uri.parse(uri))))
      }
    },
    async add(place, attachments) {
      const draft = await drafts.read(keyOf(place))
      await drafts.keep(keyOf(place), draft.text, [...draft.attachments, ...attachments])
    },
  }

  async function titleOf({ conversation_id }: Conversation): Promise<string> {
    if (conversation_id === null) return t('Main conversation')
    const { letta } = await server.client()
    const { summary, created_at } = await letta.conversations.retrieve(conversation_id)
    return firstWords(summary ?? '') || t('Conversation of {0}', created_at?.slice(0, 10) ?? conversation_id)
  }
}

function keyOf({ agent_id, conversation_id }: Conversation): string {
  return `${agent_id}/${conversation_id ?? ''}`
}

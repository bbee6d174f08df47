import { commands, Uri, window } from 'vscode'
import { createComposerHost } from '../composer/composer-host.ts'
import { attachFile, attachSelection } from '../composer/files.ts'
import { t } from '../l10n.ts'
import type { Restored } from '../agents/remove.ts'
import type { Services } from '../services.ts'
import { saveChat } from './chat-actions.ts'
import type { Attachment } from '../../composer-protocol.ts'
import { chooseChat } from './chat-target.ts'
import { createChats } from './chats.ts'

/** The chat with agents: its tabs, its view in the side bar, and what opens them. */
export function registerChat(services: Services): void {
  const { context, library, onDidChangeLibrary, command } = services
  const choose = async (given?: unknown) => {
    if (!library.loaded) await library.load()
    return chooseChat(given, library)
  }
  const composer = createComposerHost(services)
  const chats = createChats(services, composer, choose)
  const attach = async (attachment: Attachment) => {
    const target = chats.active?.session.target ?? chats.sideTarget ?? (await choose())
    if (!target) return
    await chats.attach(target, [attachment])
    if (chats.active?.session.target === target || !chats.sideTarget) chats.open(target)
    else await chats.openInSideBar(target)
  }
  context.subscriptions.push(
    chats,
    onDidChangeLibrary(() => chats.refresh()),
    command('loci.openChat', t('open the chat'), async (given) => {
      const target = await choose(given)
      if (target) chats.open(target)
    }),
    command('loci.openChatInSideBar', t('open the chat'), async (given) => {
      const target = await choose(given)
      if (target) await chats.openInSideBar(target)
    }),
    command('loci.openChatInEditor', t('open the chat'), async () => {
      const target = chats.sideTarget ?? (await choose())
      if (target) chats.open(target)
    }),
    // For other parts: the chat that was in front last, or that of the side bar, as a `ContextTarget`.
    commands.registerCommand('loci.activeChat', () => {
      const target = chats.active?.session.target ?? chats.sideTarget
      return target ? { agentId: target.agent_id, conversationId: target.conversation_id } : null
    }),
    // For other parts: chats with an agent that was deleted and brought back go on with it.
    commands.registerCommand('loci.followRestored', ({ agent_id, now }: Restored) =>
      chats.follow(agent_id, now),
    ),
    command('loci.addSelection', t('add the selection'), async () => {
      const selection = attachSelection(window.activeTextEditor)
      if (!selection) throw new Error(t('Select something in an editor first.'))
      await attach(selection)
    }),
    command('loci.addFile', t('add the file'), async (given) => {
      const uri = given instanceof Uri ? given : window.activeTextEditor?.document.uri
      if (!uri) throw new Error(t('Open a file first.'))
      await attach(await attachFile(uri))
    }),
    command('loci.exportChat', t('export the chat'), async () => {
      const chat = chats.active
      if (!chat) throw new Error(t('Open the chat that you want to export.'))
      await saveChat(chat, library.agents.get(chat.session.target.agent_id)?.name ?? 'Agent')
    }),
  )
}

import type { Services } from '../services.ts'
import { saveChat } from './chat-actions.ts'
import { chooseChat } from './chat-target.ts'
import { createChats } from './chats.ts'

/** The chat with agents: its tabs, its view in the side bar, and what opens them. */
export function registerChat(services: Services): void {
  const { context, library, onDidChangeLibrary, command } = services
  const choose = async (given?: unknown) => {
    if (!library.loaded) await library.load()
    return chooseChat(given, library)
  }
  const chats = createChats(services, choose)
  context.subscriptions.push(
    chats,
    onDidChangeLibrary(() => chats.refresh()),
    command('loci.openChat', 'open the chat', async (given) => {
      const target = await choose(given)
      if (target) chats.open(target)
    }),
    command('loci.openChatInSideBar', 'open the chat', async (given) => {
      const target = await choose(given)
      if (target) await chats.openInSideBar(target)
    }),
    command('loci.openChatInEditor', 'open the chat', async () => {
      const target = chats.sideTarget ?? (await choose())
      if (target) chats.open(target)
    }),
    command('loci.exportChat', 'export the chat', async () => {
      const chat = chats.active
      if (!chat) throw new Error('Open the chat that you want to export.')
      await saveChat(chat, library.agents.get(chat.session.target.agent_id)?.name ?? 'Agent')
    }),
  )
}

import { chooseAgent } from '../commands/open-chat.ts'
import type { Services } from '../services.ts'
import { createChats } from './chats.ts'

/** The chat with agents: its tabs and what opens them. */
export function registerChat(services: Services): void {
  const { context, server, library, onDidChangeLibrary, command } = services
  const chats = createChats(context, server, library, {
    describe: (error) => server.describe(error),
    showLogs: () => services.showLogs(),
  })
  context.subscriptions.push(
    chats,
    onDidChangeLibrary(() => chats.refresh()),
    command('loci.openChat', 'open the chat', async (given) => {
      if (!library.loaded) await library.load()
      const agent = await chooseAgent(given, library)
      if (agent) chats.open(agent.id, agent.name)
    }),
  )
}

import { commands } from 'vscode'
import { newAgent } from '../commands/new-agent.ts'
import type { Services } from '../services.ts'

/** The commands about agents, but for their chat. */
export function registerAgents({ context, server, library, command }: Services): void {
  context.subscriptions.push(
    command('loci.newAgent', 'create the agent', async () => {
      const client = await server.client()
      await library.load()
      const names = [...library.agents.values()].map((agent) => agent.name)
      const created = await newAgent(client, names)
      if (created) await commands.executeCommand('loci.openChat', created.id)
    }),
  )
}

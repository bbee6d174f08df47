import { commands, window } from 'vscode'
import type { Services } from '../services.ts'
import { connectProvider } from './connect-provider.ts'

/** The command that connects model providers. */
export function registerProviders({ context, server, command }: Services): void {
  context.subscriptions.push(
    command('loci.connectProvider', 'connect the provider', async () => {
      const connected = await connectProvider(await server.client())
      if (!connected) return
      const { name, models } = connected
      const text = `${name} is connected, with ${models} ${models === 1 ? 'model' : 'models'}.`
      void window.showInformationMessage(text, 'New Agent').then((choice) => {
        if (choice === 'New Agent') return commands.executeCommand('loci.newAgent')
        return undefined
      })
    }),
  )
}

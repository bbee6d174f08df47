import { commands, window } from 'vscode'
import type { Services } from '../services.ts'
import { connectProvider } from './connect-provider.ts'
import { t } from '../l10n.ts'

/** The command that connects model providers. */
export function registerProviders({ context, server, command }: Services): void {
  context.subscriptions.push(
    command('loci.connectProvider', t('connect the provider'), async () => {
      const connected = await connectProvider(await server.client())
      if (!connected) return
      const { name, models } = connected
      const text = t('{0} is connected, with {1} {2}.', name, models, models === 1 ? 'model' : 'models')
      void window.showInformationMessage(text, t('New Agent')).then((choice) => {
        if (choice === t('New Agent')) return commands.executeCommand('loci.newAgent')
        return undefined
      })
    }),
  )
}

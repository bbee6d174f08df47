import { commands, env, window } from 'vscode'
import { dataPlace, type ServerSettings } from '../settings.ts'
import { passingPlace } from './passing-place.ts'
import { t } from '../l10n.ts'

/**
 * Says, before the first agent is made, that it would go with the container. False when the user does something about it
 * first.
 */
export async function mayMakeAgent(settings: ServerSettings): Promise<boolean> {
  const place = passingPlace(env.remoteName, process.env, settings)
  if (place === null) return true
  const folder = t('Choose a Folder…')
  const server = t('Connect to Server…')
  const go = t('Create It Here')
  const choice = await window.showWarningMessage(
    t('Agents made here are lost when this {0} is rebuilt.', place),
    {
      modal: true,
      detail: t(
        'Their data would be in {0}, which is part of the {1}. Use a mounted folder, or a Loci server on your own machine (“loci server --auth --host 0.0.0.0”, reached at its address from here).',
        dataPlace(settings),
        place,
      ),
    },
    go,
    folder,
    server,
  )
  if (choice === folder) await commands.executeCommand('workbench.action.openSettings', 'loci.dataDirectory')
  if (choice === server) await commands.executeCommand('loci.connectToServer')
  return choice === go
}

import { commands, window } from 'vscode'
import type { Services } from '../services.ts'
import { dataPlace, networkSettings, readSettings } from '../settings.ts'
import { childEnvironment } from './child-environment.ts'
import { runLoci } from './run-loci.ts'
import { t } from '../l10n.ts'

/**
 * Deletes the data directory with all agents, after saying what will go and a word that has to be typed. Throws with what
 * `loci uninstall` said when it refused, for example while another program uses the data.
 */
export async function deleteAllData({ context, server, library }: Services): Promise<void> {
  const place = dataPlace(readSettings())
  const agents = library.loaded
    ? t('{0} agents with their memory, ', library.agents.size)
    : t('All agents with their memory, ')
  const go = 'Continue…'
  const choice = await window.showWarningMessage(
    t('Delete all data of Loci in {0}?', place),
    {
      modal: true,
      detail: t(
        '{0}conversations, files, tools, provider keys, settings of Loci and its backups go for good. Export agents first to keep them.',
        agents,
      ),
    },
    go,
  )
  if (choice !== go) return
  const typed = await window.showInputBox({
    title: t('Delete All Loci Data'),
    prompt: t('Type delete to remove {0} for good.', place),
    validateInput: (text) =>
      text === '' || 'delete'.startsWith(text) ? null : t('Type delete, or press Escape.'),
    ignoreFocusOut: true,
  })
  if (typed !== 'delete') return
  await server.stop({ asked: true })
  library.clear()
  const { code, stderr } = await runLoci(
    context.asAbsolutePath('dist/loci.js'),
    ['uninstall', '--purge', '--yes', '--data', place],
    childEnvironment(process.env, networkSettings(), ''),
  )
  if (code !== 0) {
    const said = stderr.trim().replace(/^loci: /, '') || t('loci uninstall ended with {0}.', code)
    void window
      .showErrorMessage(t('Loci could not delete its data: {0}', said), t('Show Logs'))
      .then((chosen) => {
        if (chosen !== undefined) return commands.executeCommand('loci.showLogs')
        return undefined
      })
    return
  }
  void window.showInformationMessage(t('All data of Loci in {0} are gone.', place))
}

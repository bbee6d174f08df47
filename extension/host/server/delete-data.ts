import { commands, window } from 'vscode'
import type { Services } from '../services.ts'
import { dataPlace, networkSettings, readSettings } from '../settings.ts'
import { childEnvironment } from './child-environment.ts'
import { runLoci } from './run-loci.ts'

/**
 * Deletes the data directory with all agents, after saying what will go and a word that has to be typed. Throws with what
 * `loci uninstall` said when it refused, for example while another program uses the data.
 */
export async function deleteAllData({ context, server, library }: Services): Promise<void> {
  const place = dataPlace(readSettings())
  const agents = library.loaded
    ? `${library.agents.size} agents with their memory, `
    : 'All agents with their memory, '
  const go = 'Continue…'
  const choice = await window.showWarningMessage(
    `Delete all data of Loci in ${place}?`,
    {
      modal: true,
      detail: `${agents}conversations, files, tools, provider keys, settings of Loci and its backups go for good. Export agents first to keep them.`,
    },
    go,
  )
  if (choice !== go) return
  const typed = await window.showInputBox({
    title: 'Delete All Loci Data',
    prompt: `Type delete to remove ${place} for good.`,
    validateInput: (text) =>
      text === '' || 'delete'.startsWith(text) ? null : 'Type delete, or press Escape.',
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
    const said = stderr.trim().replace(/^loci: /, '') || `loci uninstall ended with ${code}.`
    void window.showErrorMessage(`Loci could not delete its data: ${said}`, 'Show Logs').then((chosen) => {
      if (chosen !== undefined) return commands.executeCommand('loci.showLogs')
      return undefined
    })
    return
  }
  void window.showInformationMessage(`All data of Loci in ${place} are gone.`)
}

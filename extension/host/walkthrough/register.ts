import { commands } from 'vscode'
import { t } from '../l10n.ts'
import type { Services } from '../services.ts'

/** Of `contributes.walkthroughs`, with the extension's own id. */
const WALKTHROUGH = 'loci.loci#start'

/** What the steps of the walkthrough are ticked off by, and the command that opens it. */
export function registerWalkthrough({
  context,
  server,
  library,
  onDidChangeLibrary,
  command,
}: Services): void {
  const done = (what: string) => void commands.executeCommand('setContext', `loci.has.${what}`, true)
  context.subscriptions.push(
    onDidChangeLibrary(() => {
      if (library.agents.size > 0) done('agents')
      if ([...library.tools.values()].some((tool) => tool.tool_type === 'custom')) done('tools')
    }),
    server.onDidChangeData((changes) => {
      if (changes.some(({ type }) => type.startsWith('run.'))) done('turns')
    }),
    command('loci.openWalkthrough', t('open the walkthrough'), () =>
      Promise.resolve(commands.executeCommand('workbench.action.openWalkthrough', WALKTHROUGH, false)),
    ),
  )
}

import { commands, Uri, window, workspace } from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import type { AgentInfo } from '../library.ts'
import { exportAgent } from './remove.ts'
import { t } from '../l10n.ts'

const FILTERS = { 'Agent files': ['af', 'json'] }

/** Asks for an agent file and makes its agent; answers the id. Null when the user changes their mind. */
export async function importAgentFile(client: LociClient, given?: Uri): Promise<string | null> {
  const chosen =
    given ??
    (
      await window.showOpenDialog({ title: t('Import Agent File'), openLabel: t('Import'), filters: FILTERS })
    )?.[0]
  if (!chosen) return null
  const bytes = await workspace.fs.readFile(chosen)
  const file = new File([new Uint8Array(bytes)], chosen.path.split('/').at(-1) ?? 'agent.af')
  const answer = await client.letta.agents.importFile(
    { file, append_copy_suffix: false },
    // A second try would make a second agent.
    { maxRetries: 0 },
  )
  const { warnings = [] } = answer as { warnings?: string[] }
  if (warnings.length > 0) {
    void window.showWarningMessage(t('The agent is there. {0}', warnings.join(' ')))
  }
  return answer.agent_ids[0] ?? null
}

/** Asks where to, and writes the agent as a file. */
export async function exportAgentFile(client: LociClient, agent: AgentInfo): Promise<void> {
  const name = `${agent.name.replaceAll(/[^\p{L}\p{N}_ -]/gu, '_')}.af`
  const folder = workspace.workspaceFolders?.[0]?.uri
  const target = await window.showSaveDialog({
    title: t('Export {0}', agent.name),
    saveLabel: t('Export'),
    filters: FILTERS,
    ...(folder ? { defaultUri: Uri.joinPath(folder, name) } : {}),
  })
  if (!target) return
  await workspace.fs.writeFile(target, new TextEncoder().encode(await exportAgent(client.letta, agent.id)))
  const text = t(
    '{0} is in {1}: its memory, tools and messages, without secrets.',
    agent.name,
    workspace.asRelativePath(target),
  )
  void window.showInformationMessage(text, t('Open')).then((choice) => {
    if (choice === t('Open')) return commands.executeCommand('vscode.open', target)
    return undefined
  })
}

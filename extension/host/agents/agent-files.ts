import { commands, Uri, window, workspace } from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import type { AgentInfo } from '../library.ts'
import { exportAgent } from './remove.ts'

const FILTERS = { 'Agent files': ['af', 'json'] }

/** Asks for an agent file and makes its agent; answers the id. Null when the user changes their mind. */
export async function importAgentFile(client: LociClient, given?: Uri): Promise<string | null> {
  const chosen =
    given ??
    (await window.showOpenDialog({ title: 'Import Agent File', openLabel: 'Import', filters: FILTERS }))?.[0]
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
    void window.showWarningMessage(`The agent is there. ${warnings.join(' ')}`)
  }
  return answer.agent_ids[0] ?? null
}

/** Asks where to, and writes the agent as a file. */
export async function exportAgentFile(client: LociClient, agent: AgentInfo): Promise<void> {
  const name = `${agent.name.replaceAll(/[^\p{L}\p{N}_ -]/gu, '_')}.af`
  const folder = workspace.workspaceFolders?.[0]?.uri
  const target = await window.showSaveDialog({
    title: `Export ${agent.name}`,
    saveLabel: 'Export',
    filters: FILTERS,
    ...(folder ? { defaultUri: Uri.joinPath(folder, name) } : {}),
  })
  if (!target) return
  await workspace.fs.writeFile(target, new TextEncoder().encode(await exportAgent(client.letta, agent.id)))
  const text = `${agent.name} is in ${workspace.asRelativePath(target)}: its memory, tools and messages, without secrets.`
  void window.showInformationMessage(text, 'Open').then((choice) => {
    if (choice === 'Open') return commands.executeCommand('vscode.open', target)
    return undefined
  })
}

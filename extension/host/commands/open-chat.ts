import { window } from 'vscode'
import type { AgentInfo, Library } from '../library.ts'
import type { Entry } from '../views/entry.ts'
import { t } from '../l10n.ts'

/**
 * The agent that Open Chat means: the one of the tree row or id that it was given, else the one the user picks.
 * Null when the user changes their mind. Throws when there is no such agent.
 */
export async function chooseAgent(given: unknown, library: Library): Promise<AgentInfo | null> {
  const id = typeof given === 'string' ? given : (given as Partial<Entry> | undefined)?.chat_agent_id
  if (id !== undefined) return knownAgent(id, library)
  const items = [...library.agents.values()].map((agent) => ({
    label: `$(hubot) ${agent.name}`,
    description: agent.model ?? '',
    agent,
  }))
  const picked = await window.showQuickPick(items, {
    title: t('Open Chat'),
    placeHolder: t('With which agent?'),
  })
  return picked?.agent ?? null
}

async function knownAgent(id: string, library: Library): Promise<AgentInfo> {
  // It may have been made a moment ago, in this very command's caller.
  if (!library.agents.has(id)) await library.reload()
  const agent = library.agents.get(id)
  if (!agent) throw new Error(t('There is no agent {0} any more.', id))
  return agent
}

import { window } from 'vscode'
import type { AgentInfo, Library } from '../library.ts'
import type { Entry } from '../views/entry.ts'

/**
 * The agent that Open Chat means: the one of the tree row or id that it was given, else the one the user picks.
 * Null when there is none or the user changes their mind.
 */
export async function chooseAgent(given: unknown, library: Library): Promise<AgentInfo | null> {
  const id = typeof given === 'string' ? given : (given as Partial<Entry> | undefined)?.chat_agent_id
  if (id !== undefined) return library.agents.get(id) ?? null
  const items = [...library.agents.values()].map((agent) => ({
    label: `$(hubot) ${agent.name}`,
    description: agent.model ?? '',
    agent,
  }))
  const picked = await window.showQuickPick(items, { title: 'Open Chat', placeHolder: 'With which agent?' })
  return picked?.agent ?? null
}

import type { Library } from '../library.ts'
import { byLabel, type Entry } from './entry.ts'
import { agentRow } from './rows.ts'

/** The agents by name; each opens to its blocks, tools, conversations and files. */
export function agentEntries(library: Library): Entry[] {
  return [...library.agents.values()]
    .map((agent) => agentRow(agent, { library, activity: library.activity.get(agent.id) }))
    .sort(byLabel)
}

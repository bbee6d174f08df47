import type { AgentInfo, BlockInfo, Library } from '../library.ts'
import { byLabel, type Entry } from './entry.ts'
import { agentRow, blockRow } from './rows.ts'
import { t } from '../l10n.ts'

/** The blocks by label; each says whose it is and opens to the agents that share it. */
export function blockEntries(library: Library): Entry[] {
  const owners = ownersOf(library.agents.values())
  return [...library.blocks.values()]
    .map((block) => sharedBlock(block, owners.get(block.id) ?? []))
    .sort((a, b) => byLabel(a, b) || byLabel({ label: a.description }, { label: b.description }))
}

function sharedBlock(block: BlockInfo, sharers: readonly AgentInfo[]): Entry {
  const entry = blockRow(block, sharers)
  if (sharers.length === 0) return { ...entry, description: t('not attached · {0}', entry.description) }
  return { ...entry, children: () => sharers.map((agent) => agentRow(agent, { parent: `${block.id}/` })) }
}

function ownersOf(agents: Iterable<AgentInfo>): Map<string, AgentInfo[]> {
  const owners = new Map<string, AgentInfo[]>()
  for (const agent of agents) {
    for (const id of agent.block_ids) {
      const known = owners.get(id)
      if (known) known.push(agent)
      else owners.set(id, [agent])
    }
  }
  return owners
}

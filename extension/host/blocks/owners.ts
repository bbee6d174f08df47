import type { LociClient } from '../../../shared/client/http.ts'
import type { BlockInfo, Library } from '../library.ts'

interface Owned {
  block: BlockInfo
  agent_ids: string[]
}

/** Whose the open blocks are, also after they have been deleted. */
export function createOwners(library: Library) {
  const known = new Map<string, Owned>()
  return {
    remember(block_id: string): void {
      const block = library.blocks.get(block_id)
      if (!block) return
      const agents = [...library.agents.values()].filter((agent) => agent.block_ids.includes(block_id))
      // A deleted block leaves its agents a moment before it leaves the list.
      if (agents.length === 0 && known.has(block_id)) return
      known.set(block_id, { block, agent_ids: agents.map((agent) => agent.id) })
    },
    of: (block_id: string): Owned | null => known.get(block_id) ?? null,
  }
}

/** Makes a deleted block again, with this text, for the agents that had it and are still there; answers its id. */
export async function makeAgain({ letta }: LociClient, owned: Owned | null, value: string): Promise<string> {
  const { block, agent_ids } = owned ?? { block: null, agent_ids: [] }
  const { id } = await letta.blocks.create({
    label: block?.label ?? 'block',
    value,
    description: block?.description ?? null,
    read_only: block?.read_only ?? false,
    ...(block ? { limit: block.limit } : {}),
  })
  for (const agent_id of agent_ids) {
    try {
      await letta.agents.blocks.attach(id, { agent_id })
    } catch (error) {
      // The agent has gone as well.
      if ((error as { status?: unknown }).status !== 404) throw error
    }
  }
  return id
}

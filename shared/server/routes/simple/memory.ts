import { defaultBlockDescription } from '../../../core/default-prompts.ts'
import type { Actor } from '../../../core/ports/actor.ts'
import { createBlock, type CreateBlock } from '../../../schema/block.ts'
import { AppError } from '../../../schema/errors.ts'
import { newId } from '../../../schema/ids.ts'
import type { ServerContext } from '../../context.ts'

/** What an agent knows of itself and of its user; null and absent say nothing. */
interface Memory {
  persona: string | null | undefined
  human: string | null | undefined
}

/**
 * The memory blocks of a new agent: those of these two, then the others. Who names no other blocks gets both, so that the
 * agent has a place for what it learns. Throws `validation` for a label that is given twice.
 */
export function memoryBlocks(
  memory: Memory,
  others: readonly CreateBlock[],
  hasOthers: boolean,
): CreateBlock[] {
  const own = Object.entries(memory).flatMap(([label, given]) => {
    const value = hasOthers ? given : (given ?? '')
    if (value == null) return []
    const again = others.findIndex((block) => block.label === label)
    if (again >= 0)
      throw new AppError(
        'validation',
        `body.memory_blocks.${again}.label: '${label}' is given beside them too`,
      )
    return [createBlock.parse({ label, value })]
  })
  return [...own, ...others]
}

/** Gives blocks of an agent these values, and makes those that it does not have. */
export async function writeMemory(
  { deps }: ServerContext,
  actor: Actor,
  agent_id: string,
  memory: Memory,
): Promise<void> {
  const given = Object.entries(memory).flatMap(([label, value]) => (value == null ? [] : [{ label, value }]))
  if (given.length === 0) return
  const agent = await deps.store.agents.get(actor, agent_id, ['agent.blocks'])
  for (const { label, value } of given) {
    const present = agent?.blocks.find((block) => block.label === label)
    if (present) await deps.store.blocks.update(actor, present.id, { value })
    else {
      const edit = {
        block_id: newId('block'),
        create: createBlock.parse({ label, value, description: defaultBlockDescription(label) }),
      }
      const made = await deps.store.agents.editBlocks(actor, agent_id, [edit])
      if (made.status === 'conflict')
        throw new AppError(
          'conflict',
          `the agent got a block '${label}' just now; read it, and send the change again`,
        )
    }
  }
}

import { AppError } from '../shared/schema/errors.ts'
import { didYouMean } from '../shared/schema/near-names.ts'
import type { LociClient } from '../shared/client/http.ts'
import type { Block } from './letta.ts'

export function labelOf(block: Pick<Block, 'label'>): string {
  return block.label ?? 'unnamed'
}

/** The agent's block of that label. Throws `not_found` with near labels and those there are. */
export function blockOf<B extends Pick<Block, 'label'>>(
  agent: { name: string },
  blocks: readonly B[],
  label: string,
): B {
  const found = blocks.find((block) => block.label === label)
  if (found) return found
  const labels = blocks.map(labelOf)
  const there = labels.length > 0 ? `It has: ${labels.join(', ')}.` : 'It has no memory blocks.'
  const near = didYouMean(label, labels, '')
  const hint = near.startsWith('Did') ? `${near} ` : ''
  throw new AppError('not_found', `Agent '${agent.name}' has no memory block '${label}'. ${hint}${there}`)
}

/** How often a change is made again on a block that somebody else has changed in between. */
const TRIES = 200

/**
 * Changes a block's value by `change`, which is given the present one, without losing what others write at the same
 * time: on a server that knows versions it is made again on the newer value. Answers the block as it now is.
 */
export async function editBlock(
  client: LociClient,
  block_id: string,
  change: (value: string, block: Block) => string,
  { signal }: { signal: AbortSignal },
): Promise<Block> {
  const { refusalOf } = await import('../shared/client/http.ts')
  for (let tries = 1; ; tries++) {
    const block = await client.letta.blocks.retrieve(block_id, { signal })
    const version = (block as { version?: unknown }).version
    const headers = typeof version === 'number' ? { 'if-match': `"${version}"` } : {}
    try {
      const value = change(block.value, block)
      return await client.letta.blocks.update(block_id, { value }, { signal, headers, maxRetries: 0 })
    } catch (error) {
      const stale = refusalOf(error)?.status === 409 && typeof version === 'number'
      if (!stale || tries === TRIES) throw error
      // Others are as eager: a growing pause lets one of them finish.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(tries, 20)))
    }
  }
}

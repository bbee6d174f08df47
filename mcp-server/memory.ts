import { type BlockEdit, editedValue } from '../shared/schema/block-edit.ts'
import { AppError, isAppError } from '../shared/schema/errors.ts'
import { didYouMean } from '../shared/schema/near-names.ts'
import type { LociClient } from '../shared/client/http.ts'
import { capped } from './answer.ts'
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

/** The agent's block of that label, read alone: others may be large. Throws as `blockOf` does. */
export async function readLabelled(
  client: LociClient,
  agent: { id: string; name: string },
  label: string,
  { signal }: { signal: AbortSignal },
): Promise<Block> {
  const { blocks } = client.letta.agents
  try {
    return await blocks.retrieve(label, { agent_id: agent.id }, { signal })
  } catch (error) {
    const { refusalOf } = await import('../shared/client/http.ts')
    if (refusalOf(error)?.status !== 404) throw error
    const { items } = await blocks.list(agent.id, { limit: 100 }, { signal })
    return blockOf(agent, items, label)
  }
}

/**
 * Changes a memory block of an agent without losing what others write at the same time, and answers it as it now is. A
 * server that has no edits of its own is read and written instead, one edit of this process at a time. Throws `conflict`
 * with the present value where `old_text` does not fit.
 */
export async function editMemory(
  client: LociClient,
  { agent, label, edit }: { agent: { id: string; name: string }; label: string; edit: BlockEdit },
  { signal }: { signal: AbortSignal },
): Promise<Block> {
  const { refusalOf } = await import('../shared/client/http.ts')
  const path = `/v1/agents/${agent.id}/core-memory/blocks/${encodeURIComponent(label)}/edit`
  try {
    return await client.letta.post<Block>(path, { body: edit, signal, maxRetries: 0 })
  } catch (error) {
    const refusal = refusalOf(error)
    const present = refusal?.status === 409 ? (refusal.body['block'] as Block | undefined) : undefined
    if (refusal && present) throw withValue(String(refusal.body['detail']), present, error)
    if (refusal?.status !== 404 && refusal?.status !== 405) throw error
  }
  // No such block, or a server without this route.
  const { items } = await client.letta.agents.blocks.list(agent.id, { limit: 100 }, { signal })
  const { id } = blockOf(agent, items, label)
  return oneAtATime(id, async () => {
    const value = edited(await client.letta.blocks.retrieve(id, { signal }), edit)
    return client.letta.blocks.update(id, { value }, { signal, maxRetries: 0 })
  })
}

function edited(block: Block, edit: BlockEdit): string {
  const { label = null, limit = Infinity, read_only = false } = block
  try {
    return editedValue({ ...block, label, limit, read_only }, edit)
  } catch (error) {
    throw isAppError(error, 'conflict') ? withValue(error.message, block, error) : error
  }
}

function withValue(text: string, { value }: Block, cause: unknown): AppError {
  const now = capped(value, () => 'memory_read shows the rest.', 8_000)
  return new AppError('conflict', `${text} Its value is:\n${now || '(empty)'}`, { cause })
}

const editing = new Map<string, Promise<void>>()

/** Runs after all that was asked for before it under the same key, whatever became of that. */
async function oneAtATime<T>(key: string, run: () => Promise<T>): Promise<T> {
  const before = editing.get(key)
  const ended = Promise.withResolvers<void>()
  editing.set(key, ended.promise)
  await before
  try {
    return await run()
  } finally {
    ended.resolve()
    if (editing.get(key) === ended.promise) editing.delete(key)
  }
}

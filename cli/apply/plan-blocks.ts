import type { Block } from '../../shared/schema/block.ts'
import type { Wanted, WantedBlock } from './desired.ts'
import { blockText, differences, type Field, given, type Plan, wasMade } from './plan.ts'
import { hashOf } from './state.ts'

/** Blocks that agents share. */
export async function planSharedBlocks(plan: Plan): Promise<void> {
  const { client, desired, state, before } = plan
  for (const wanted of desired.shared_blocks) {
    const { label, at } = wanted
    const found = await sharedBlock(plan, wanted)
    const last = before.blocks[label]
    if (!found) {
      const run = async () => {
        const { id } = await client.letta.blocks.create(newBlock(wanted) as { label: string; value: string })
        plan.ids.blocks.set(label, id)
        state.blocks[label] = { id, made: true, value: hashOf(wanted.value) }
      }
      const fields = [{ field: 'value', before: null, after: wanted.value }]
      plan.changes.push({ action: 'create', kind: 'block', name: label, at, fields, run })
      continue
    }
    plan.ids.blocks.set(label, found.id)
    const same = last?.id === found.id ? last : undefined
    const { fields, body, value } = blockChanges(plan, wanted, found, same?.value ?? null, label)
    const record = { id: found.id, made: wasMade(plan, 'block', label, same), value }
    if (fields.length === 0) {
      state.blocks[label] = record
      continue
    }
    const run = async () => {
      await client.letta.patch(`/v1/blocks/${found.id}`, { body })
      state.blocks[label] = record
    }
    plan.changes.push({ action: 'update', kind: 'block', name: label, at, fields, run })
  }
}

/** The block that agents of the fleet share already: the one made before, or the only one that nobody else has. */
async function sharedBlock(plan: Plan, { label, at }: Wanted<WantedBlock>): Promise<Block | null> {
  const { client, before, desired } = plan
  const query = { label, limit: 100 }
  const all = (await client.letta.blocks.list(query)).items as unknown as Block[]
  const made = all.find(({ id }) => id === before.blocks[label]?.id)
  if (made) return made
  const sharing = new Set(
    desired.agents.flatMap((agent) => (agent.shared_blocks?.includes(label) ? [agent.name] : [])),
  )
  const mine: Block[] = []
  for (const found of all) {
    const users = (await client.letta.blocks.agents.list(found.id, { limit: 100 })).items
    if (users.every(({ name }) => sharing.has(name))) mine.push(found)
  }
  if (mine.length > 1)
    plan.mistakes.push(
      `${at}: several blocks are called '${label}' (${mine.map(({ id }) => id).join(', ')}); delete those that are not meant`,
    )
  return mine[0] ?? null
}

/** The body of a new block. */
export function newBlock({
  at: _at,
  agent_owned: _owned,
  ...block
}: Wanted<WantedBlock>): Record<string, unknown> {
  return given(block)
}

/** What changes in a block, and the hash of the text that is the fleet's afterwards. `shown` names it. */
export function blockChanges(
  plan: Plan,
  wanted: Wanted<WantedBlock>,
  found: Block,
  last: string | null,
  shown: string,
): { fields: Field[]; body: Record<string, unknown>; value: string | null } {
  const { description, limit, read_only, tags, metadata, value } = wanted
  const settings = given({ description, limit, read_only, tags, metadata })
  const fields = differences({ ...found }, settings)
  const body = Object.fromEntries(fields.map(({ field }) => [field, settings[field]]))
  if (metadata) body['metadata'] = { ...found.metadata, ...metadata }
  const text = blockText(wanted, found.value, last)
  if (text === 'write') {
    fields.push({ field: 'value', before: found.value, after: value })
    body['value'] = value
  }
  if (text === 'keep' && last !== hashOf(value))
    plan.notes.push(
      `${wanted.at}: the text of block '${shown}' was written by others since and stays; 'agent_owned: false' would replace it.`,
    )
  return { fields, body, value: text === 'keep' ? last : hashOf(value) }
}

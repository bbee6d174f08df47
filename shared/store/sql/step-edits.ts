import { filterEach } from '../each.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { BlockChange, BlockConflict, BlockEdit } from '../../core/ports/turn-store.ts'
import type { Block, CreateBlock } from '../../schema/block.ts'
import { freeLabels, writeBlock } from './block-rows.ts'
import {
  blocksInConversation,
  type BlockScope,
  createInConversation,
  detachInConversation,
  hidesLabel,
  isolatedBlockIds,
} from './conversation-blocks.ts'
import type { Transaction } from './database.ts'
import { query, db } from './query.ts'

/** Another agent that has the block, and another block of this label. */
const sharedLabel = query<{ block: string; label: string; agent: string }>()((p) =>
  db
    .selectFrom('agents_blocks as shared')
    .innerJoin('agents_blocks as theirs', 'theirs.agent_id', 'shared.agent_id')
    .select('theirs.block_id')
    .where('shared.block_id', '=', p.block)
    .where('shared.agent_id', '!=', p.agent)
    .where('theirs.label', '=', p.label)
    .where('theirs.block_id', '!=', p.block)
    .limit(1),
)

interface Plan {
  detached: Block[]
  changed: { before: Block; after: Block }[]
  created: { id: string; create: CreateBlock }[]
}

/**
 * Applies a step's block edits whole, each with its history row. Answers with the conflict, and has written nothing,
 * when one of them was made against another version, a block that is gone, or a label that is taken.
 */
export async function applyEdits(
  tx: Transaction,
  actor: Actor,
  edits: readonly BlockEdit[],
  by: BlockScope & { run_id: string | null },
): Promise<BlockConflict | null> {
  if (edits.length === 0) return null
  const present = await blocksInConversation(tx, actor, by)
  const plan = planOf(present, edits)
  if (!plan) return { status: 'conflict', blocks: present }
  const relabelled = plan.changed.flatMap(({ before, after }) =>
    after.label === before.label || after.label === null ? [] : [{ block_id: before.id, label: after.label }],
  )
  const isPrivate = new Set(
    by.conversation_id === by.agent_id ? [] : await isolatedBlockIds(tx, by.conversation_id),
  )
  const refused_labels = await filterEach(
    relabelled,
    async ({ block_id, label }) =>
      (await sharedLabel.get(tx, { block: block_id, label, agent: by.agent_id })) !== undefined ||
      (!isPrivate.has(block_id) && (await hidesLabel(tx, by, label))),
  )
  if (refused_labels.length > 0) return { status: 'conflict', blocks: present, refused_labels }

  for (const block of plan.detached) {
    await detachInConversation(tx, by, block.id)
    await tx.event(actor, 'block.detached', block.id, by.agent_id)
  }
  await freeLabels(
    tx,
    relabelled.map((item) => item.block_id),
  )
  for (const { before, after } of plan.changed) await writeBlock(tx, actor, before, after, by)
  for (const { id, create } of plan.created) {
    await createInConversation(tx, actor, by, create, { id, by })
  }
  return null
}

/** Null when the edits do not fit the agent's present blocks. */
function planOf(present: readonly Block[], edits: readonly BlockEdit[]): Plan | null {
  const blocks = new Map(present.map((block) => [block.id, block]))
  const plan: Plan = { detached: [], changed: [], created: [] }
  // Of several edits of one block the last says how it is to be.
  for (const edit of new Map(edits.map((e) => [e.block_id, e])).values()) {
    if ('create' in edit) {
      plan.created.push({ id: edit.block_id, create: edit.create })
      continue
    }
    const before = blocks.get(edit.block_id)
    if (!before || before.version !== edit.base_version) return null
    if ('detach' in edit) plan.detached.push(before)
    else {
      const after = changed(before, edit)
      if (JSON.stringify(after) !== JSON.stringify(before)) plan.changed.push({ before, after })
    }
  }
  for (const { id } of plan.detached) blocks.delete(id)
  for (const { after } of plan.changed) blocks.set(after.id, after)
  const labels = [...blocks.values()].map((block) => block.label).filter((label) => label !== null)
  labels.push(...plan.created.map(({ create }) => create.label))
  return new Set(labels).size === labels.length ? plan : null
}

function changed(before: Block, { value, label, description }: BlockChange): Block {
  return {
    ...before,
    ...(value === undefined ? {} : { value }),
    ...(label === undefined ? {} : { label }),
    ...(description === undefined ? {} : { description }),
  }
}

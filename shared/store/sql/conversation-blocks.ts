import { flatMapEach } from '../each.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { Block, CreateBlock } from '../../schema/block.ts'
import { AppError } from '../../schema/errors.ts'
import type { By } from './block-rows.ts'
import { blocksOfAgent, insertBlock, readBlock } from './block-rows.ts'
import type { Transaction } from './database.ts'
import { linkToCompanions } from './group-rows.ts'
import { linkBlock, unlinkBlock } from './links.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'

const links = query<{ conversation: string }>()((p) =>
  db
    .selectFrom('conversations_blocks')
    .select(['block_id', 'label', 'detached'])
    .where('conversation_id', '=', p.conversation)
    .orderBy('position'),
)
const addLink = query<{
  conversation: string
  block: string
  org: string
  position: number
  label: string
}>()((p) =>
  db.insertInto('conversations_blocks').values({
    conversation_id: p.conversation,
    block_id: p.block,
    organization_id: p.org,
    position: p.position,
    label: p.label,
  }),
)
const detach = query<{ conversation: string; block: string; detached: number }>()((p) =>
  db
    .updateTable('conversations_blocks')
    .set({ detached: p.detached })
    .where('conversation_id', '=', p.conversation)
    .where('block_id', '=', p.block),
)
const detachAll = query<{ block: string }>()((p) =>
  db.updateTable('conversations_blocks').set({ detached: 1 }).where('block_id', '=', p.block),
)
const linked = query<{ agent: string; label: string }>()((p) =>
  db
    .selectFrom('agents_blocks')
    .select('block_id')
    .where('agent_id', '=', p.agent)
    .where('label', '=', p.label),
)

/** The conversation whose blocks are meant. */
export interface BlockScope {
  agent_id: string
  /** The agent's id for its default conversation, which has no blocks of its own. */
  conversation_id: string
}

/** The private blocks of a conversation that are in it. */
export async function isolatedBlockIds(connection: Connection, conversation_id: string): Promise<string[]> {
  return (await links.all(connection, { conversation: conversation_id }))
    .filter((link) => link.detached === 0)
    .map((link) => link.block_id)
}

/**
 * The blocks as a conversation sees them: the agent's, in their order, with its private ones in place of those whose
 * label they stand for.
 */
export async function blocksInConversation(
  connection: Connection,
  actor: Actor,
  scope: BlockScope,
): Promise<Block[]> {
  if (scope.conversation_id === scope.agent_id) return blocksOfAgent(connection, actor, scope.agent_id)
  const [shared, own] = await Promise.all([
    blocksOfAgent(connection, actor, scope.agent_id),
    links.all(connection, { conversation: scope.conversation_id }),
  ])
  if (own.length === 0) return shared
  const present = await flatMapEach(
    own.filter((link) => link.detached === 0),
    async (link) => {
      const block = await readBlock(connection, actor, link.block_id)
      return block ? [{ label: link.label, block }] : []
    },
  )
  const masked = new Set(own.map((link) => link.label))
  const labels = new Set(present.map(({ block }) => block.label))
  const placed = new Set<string>()
  const seen = shared.flatMap((block) => {
    if (block.label === null) return [block]
    if (masked.has(block.label)) {
      const instead = present.filter(({ label }) => label === block.label).map((item) => item.block)
      for (const { id } of instead) placed.add(id)
      return instead
    }
    return labels.has(block.label) ? [] : [block]
  })
  return [...seen, ...present.map(({ block }) => block).filter(({ id }) => !placed.has(id))]
}

/** Gives a new conversation copies of the agent's blocks of these labels. Throws `invalid_argument` for an unknown one. */
export async function isolateBlocks(
  tx: Transaction,
  actor: Actor,
  scope: BlockScope,
  labels: readonly string[],
): Promise<void> {
  if (labels.length === 0) return
  const blocks = await blocksOfAgent(tx, actor, scope.agent_id)
  for (const [position, label] of [...new Set(labels)].entries()) {
    const block = blocks.find((b) => b.label === label)
    if (!block) {
      const known = blocks.map((b) => b.label).join(', ')
      throw new AppError(
        'invalid_argument',
        `The agent has no block with the label '${label}' to isolate; its blocks are: ${known === '' ? 'none' : known}.`,
      )
    }
    await addOwn(tx, actor, scope, { ...copyOf(block, label) }, position)
  }
}

/** Takes a block from what a conversation sees: a private one from it alone, another from the agent. */
export async function detachInConversation(
  tx: Transaction,
  scope: BlockScope,
  block_id: string,
): Promise<void> {
  const { conversation_id: conversation, agent_id } = scope
  if (
    conversation !== agent_id &&
    (await detach.run(tx, { conversation, block: block_id, detached: 1 })).changes > 0
  )
    return
  await unlinkBlock(tx, agent_id, block_id)
}

/** A block is deleted: a conversation that had it for itself has no block of its label then, not the agent's. */
export async function detachDeleted(tx: Transaction, block_id: string): Promise<void> {
  await detachAll.send(tx, { block: block_id })
}

/**
 * Makes a block for the agent; for this conversation alone when the agent has one of that label, which it does not see.
 */
export async function createInConversation(
  tx: Transaction,
  actor: Actor,
  scope: BlockScope,
  input: CreateBlock,
  made: { id: string; by: By },
): Promise<void> {
  if (await hidesLabel(tx, scope, input.label)) {
    const position = (await links.all(tx, { conversation: scope.conversation_id })).length
    await addOwn(tx, actor, scope, input, position, made)
    return
  }
  await insertBlock(tx, actor, input, scope.agent_id, made)
  await linkBlock(tx, actor, scope.agent_id, made.id)
  await linkToCompanions(tx, actor, scope.agent_id, made.id)
}

/** Whether the agent has a block of this label; asked for one that the conversation does not see. */
export async function hidesLabel(connection: Connection, scope: BlockScope, label: string): Promise<boolean> {
  return (
    scope.conversation_id !== scope.agent_id &&
    (await linked.get(connection, { agent: scope.agent_id, label })) !== undefined
  )
}

async function addOwn(
  tx: Transaction,
  actor: Actor,
  scope: BlockScope,
  input: CreateBlock,
  position: number,
  made?: { id: string; by: By },
): Promise<void> {
  const { id } = await insertBlock(tx, actor, input, scope.agent_id, made)
  await addLink.send(tx, {
    conversation: scope.conversation_id,
    block: id,
    org: actor.organization_id,
    position,
    label: input.label,
  })
}

function copyOf(block: Block, label: string): CreateBlock {
  const { id: _id, version: _version, created_by_id: _by, last_updated_by_id: _last, ...fields } = block
  return { ...fields, label }
}

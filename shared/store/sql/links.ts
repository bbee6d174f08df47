import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import { AppError } from '../../schema/errors.ts'
import type { Transaction } from './database.ts'
import { isConstraint } from './errors.ts'
import { query, db } from './query.ts'

const nextBlock = query<{ agent: string }>()((p) =>
  db
    .selectFrom('agents_blocks')
    .select((eb) => eb.fn.coalesce(eb('position', '+', 1), eb.lit(0)).as('position'))
    .where('agent_id', '=', p.agent)
    .orderBy('position', 'desc')
    .limit(1),
)
const nextTool = query<{ agent: string }>()((p) =>
  db
    .selectFrom('agents_tools')
    .select((eb) => eb.fn.coalesce(eb('position', '+', 1), eb.lit(0)).as('position'))
    .where('agent_id', '=', p.agent)
    .orderBy('position', 'desc')
    .limit(1),
)
const addBlock = query<{
  agent: string
  block: string
  org: string
  position: number
  label: string | null
}>()((p) =>
  db.insertInto('agents_blocks').values({
    agent_id: p.agent,
    block_id: p.block,
    organization_id: p.org,
    position: p.position,
    label: p.label,
  }),
)
const addTool = query<{ agent: string; tool: string; org: string; position: number }>()((p) =>
  db
    .insertInto('agents_tools')
    .columns(['agent_id', 'tool_id', 'organization_id', 'position'])
    .expression((eb) =>
      eb
        .selectFrom('tools')
        .select([
          sql<string>`cast(${p.agent} as text)`.as('agent_id'),
          'id',
          'organization_id',
          sql<number>`cast(${p.position} as integer)`.as('position'),
        ])
        .where('id', '=', p.tool)
        .where('organization_id', '=', p.org),
    )
    .onConflict((conflict) => conflict.doNothing()),
)
const toolExists = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('tools').select('id').where('id', '=', p.id).where('organization_id', '=', p.org),
)
const labelOf = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('blocks').select('label').where('id', '=', p.id).where('organization_id', '=', p.org),
)
/** The conversation that has a block for itself. */
const privateTo = query<{ block: string }>()((p) =>
  db.selectFrom('conversations_blocks').select('conversation_id').where('block_id', '=', p.block).limit(1),
)
const blockIds = query<{ agent: string }>()((p) =>
  db.selectFrom('agents_blocks').select('block_id').where('agent_id', '=', p.agent).orderBy('position'),
)
const toolIds = query<{ agent: string }>()((p) =>
  db.selectFrom('agents_tools').select('tool_id').where('agent_id', '=', p.agent).orderBy('position'),
)
const removeTags = query<{ agent: string }>()((p) =>
  db.deleteFrom('agent_tags').where('agent_id', '=', p.agent),
)

/**
 * Attaches a block to an agent as its last one; again is the same as once. Throws `not_found` for the block and
 * `conflict` when the agent has another block of that label, or the block is private to a conversation.
 */
export async function linkBlock(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  block_id: string,
): Promise<boolean> {
  const block = await labelOf.get(tx, { id: block_id, org: actor.organization_id })
  if (!block) throw new AppError('not_found', `There is no block '${block_id}'.`)
  if ((await blockIds.all(tx, { agent: agent_id })).some((row) => row.block_id === block_id)) return false
  const owner = await privateTo.get(tx, { block: block_id })
  if (owner)
    throw new AppError(
      'conflict',
      `The block '${block_id}' is private to the conversation '${owner.conversation_id}' and cannot be attached to an ` +
        'agent. Create a block with its value, and attach that one.',
    )
  const position = (await nextBlock.get(tx, { agent: agent_id }))?.position ?? 0
  await linkNewBlock(tx, actor, agent_id, { id: block_id, label: block.label }, position)
  return true
}

/** The same for a block that was made just now and a place that is known to be free. */
export async function linkNewBlock(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  block: { id: string; label: string | null },
  position: number,
): Promise<void> {
  try {
    await addBlock.run(tx, {
      agent: agent_id,
      block: block.id,
      org: actor.organization_id,
      position,
      label: block.label,
    })
  } catch (error) {
    if (!isConstraint(error)) throw error
    throw new AppError(
      'conflict',
      `The agent '${agent_id}' already has a block with the label '${block.label}'. Labels are unique in an agent: ` +
        'detach that block first, or give this one another label.',
      { cause: error },
    )
  }
}

/** Takes a block from an agent; false when the agent did not have it. */
export async function unlinkBlock(tx: Transaction, agent_id: string, block_id: string): Promise<boolean> {
  return (
    (await tx.run(
      db.deleteFrom('agents_blocks').where('agent_id', '=', agent_id).where('block_id', '=', block_id),
    )) > 0
  )
}

/** Attaches a tool to an agent as its last one; again is the same as once. Throws `not_found` for the tool. */
export async function linkTool(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  tool_id: string,
  position?: number,
): Promise<boolean> {
  const org = actor.organization_id
  const place = position ?? (await nextTool.get(tx, { agent: agent_id }))?.position ?? 0
  if ((await addTool.run(tx, { agent: agent_id, tool: tool_id, org, position: place })).changes > 0)
    return true
  if (!(await toolExists.get(tx, { id: tool_id, org }))) {
    throw new AppError('not_found', `There is no tool '${tool_id}'.`)
  }
  return false
}

/** Takes a tool from an agent; false when the agent did not have it. */
export async function unlinkTool(tx: Transaction, agent_id: string, tool_id: string): Promise<boolean> {
  return (
    (await tx.run(
      db.deleteFrom('agents_tools').where('agent_id', '=', agent_id).where('tool_id', '=', tool_id),
    )) > 0
  )
}

/** Makes these the agent's blocks, in this order. Errors as `linkBlock`. */
export async function replaceBlocks(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  ids: readonly string[],
): Promise<void> {
  const before = (await blockIds.all(tx, { agent: agent_id })).map((row) => row.block_id)
  for (const id of before) await unlinkBlock(tx, agent_id, id)
  for (const id of new Set(ids)) await linkBlock(tx, actor, agent_id, id)
  for (const id of before) if (!ids.includes(id)) await tx.event(actor, 'block.detached', id, agent_id)
  for (const id of new Set(ids))
    if (!before.includes(id)) await tx.event(actor, 'block.attached', id, agent_id)
}

/** Makes these the agent's tools, in this order. Errors as `linkTool`. */
export async function replaceTools(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  ids: readonly string[],
): Promise<void> {
  const before = (await toolIds.all(tx, { agent: agent_id })).map((row) => row.tool_id)
  for (const id of before) await unlinkTool(tx, agent_id, id)
  for (const id of new Set(ids)) await linkTool(tx, actor, agent_id, id)
  for (const id of before) if (!ids.includes(id)) await tx.event(actor, 'tool.detached', id, agent_id)
  for (const id of new Set(ids))
    if (!before.includes(id)) await tx.event(actor, 'tool.attached', id, agent_id)
}

/** Makes these the agent's tags. */
export async function replaceAgentTags(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  tags: readonly string[],
): Promise<void> {
  await removeTags.send(tx, { agent: agent_id })
  for (const [position, tag] of [...new Set(tags)].entries()) {
    await tx.send(
      db.insertInto('agent_tags').values({ agent_id, tag, organization_id: actor.organization_id, position }),
    )
  }
}

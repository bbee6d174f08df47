import { filterEach } from '../each.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { NewGroup } from '../../core/ports/group-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { Group, ManagerType } from '../../schema/group.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Transaction } from './database.ts'
import { linkBlock, unlinkBlock } from './links.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { GroupRow } from './tables.ts'

type Data = Pick<
  Group,
  | 'description'
  | 'template_id'
  | 'base_template_id'
  | 'deployment_id'
  | 'termination_token'
  | 'max_turns'
  | 'sleeptime_agent_frequency'
  | 'max_message_buffer_length'
  | 'min_message_buffer_length'
>

const byId = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('groups').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const managedBy = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('groups')
    .selectAll()
    .where('manager_agent_id', '=', p.agent)
    .where('organization_id', '=', p.org)
    .orderBy('created_at')
    .orderBy('id'),
)
const members = query<{ group: string }>()((p) =>
  db.selectFrom('groups_agents').select('agent_id').where('group_id', '=', p.group).orderBy('position'),
)
const blocks = query<{ group: string }>()((p) =>
  db.selectFrom('groups_blocks').select('block_id').where('group_id', '=', p.group).orderBy('position'),
)
const companions = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('groups')
    .innerJoin('groups_agents', 'groups_agents.group_id', 'groups.id')
    .select('groups_agents.agent_id')
    .where('groups.manager_agent_id', '=', p.agent)
    .where('groups.organization_id', '=', p.org)
    .where('groups.manager_type', 'in', ['sleeptime', 'voice_sleeptime'])
    .orderBy('groups_agents.position'),
)

/** Whether groups of this kind have companions that look after their manager's memory. */
export function hasCompanions(type: ManagerType): boolean {
  return type === 'sleeptime' || type === 'voice_sleeptime'
}

/** The row of a group of the actor's organisation. */
export async function readGroupRow(
  connection: Connection,
  actor: Actor,
  id: string,
): Promise<GroupRow | undefined> {
  return await byId.get(connection, { id, org: actor.organization_id })
}

/** The group of a row, with its agents and blocks. */
export async function groupOfRow(connection: Connection, row: GroupRow): Promise<Group> {
  const [agents, shared] = await Promise.all([
    members.all(connection, { group: row.id }),
    blocks.all(connection, { group: row.id }),
  ])
  return {
    ...(JSON.parse(row.data) as Data),
    id: row.id,
    manager_type: row.manager_type as ManagerType,
    agent_ids: agents.map((member) => member.agent_id),
    shared_block_ids: shared.map((block) => block.block_id),
    project_id: row.project_id,
    manager_agent_id: row.manager_agent_id,
    turns_counter: row.turns_counter,
    last_processed_message_id: row.last_processed_message_id,
    hidden: row.hidden === null ? null : row.hidden === 1,
  }
}

/** The group that an agent leads: the oldest, when there are several. */
export async function groupManagedBy(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): Promise<Group | null> {
  const row = await managedBy.get(connection, { agent: agent_id, org: actor.organization_id })
  return row ? await groupOfRow(connection, row) : null
}

/** The agents that look after the memory of this one. */
export async function companionsOf(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): Promise<string[]> {
  return (await companions.all(connection, { agent: agent_id, org: actor.organization_id })).map(
    (row) => row.agent_id,
  )
}

/** Stores a group with its agents and blocks. Errors as `GroupStore.create`. */
export async function insertGroup(tx: Transaction, actor: Actor, group: NewGroup): Promise<void> {
  const { agent_ids, shared_block_ids } = group
  await tx.run(db.insertInto('groups').values({ ...rowOf(actor, group), created_at: group.created_at }))
  await lead(tx, actor, group)
  await setMembers(tx, actor, group.id, agent_ids)
  await setSharedBlocks(tx, actor, { ...group, shared_block_ids: [] }, shared_block_ids)
}

/** Writes the fields of a group as they are to be, but for its agents and blocks. */
export async function writeGroup(tx: Transaction, actor: Actor, before: Group, next: Group): Promise<void> {
  await tx.run(db.updateTable('groups').set(rowOf(actor, next)).where('id', '=', next.id))
  if (next.manager_agent_id === before.manager_agent_id) return
  if (before.manager_agent_id !== null && hasCompanions(next.manager_type))
    await setSleeptime(tx, actor, before.manager_agent_id, false)
  await lead(tx, actor, next)
}

/** Makes these the agents of a group. */
export async function setMembers(
  tx: Transaction,
  actor: Actor,
  group_id: string,
  ids: readonly string[],
): Promise<void> {
  await tx.run(db.deleteFrom('groups_agents').where('group_id', '=', group_id))
  for (const [position, agent_id] of [...new Set(ids)].entries()) {
    await requireAgent(tx, actor, agent_id)
    await tx.run(
      db
        .insertInto('groups_agents')
        .values({ group_id, agent_id, organization_id: actor.organization_id, position }),
    )
  }
}

/** Makes these the shared blocks of a group, attached to all of its agents. Errors as `linkBlock`. */
export async function setSharedBlocks(
  tx: Transaction,
  actor: Actor,
  group: Group,
  ids: readonly string[],
): Promise<void> {
  const agents = agentsOf(group)
  for (const id of group.shared_block_ids.filter((known) => !ids.includes(known)))
    for (const agent of agents)
      if (await unlinkBlock(tx, agent, id)) await tx.event(actor, 'block.detached', id, agent)
  await tx.run(db.deleteFrom('groups_blocks').where('group_id', '=', group.id))
  for (const [position, id] of [...new Set(ids)].entries()) {
    await requireBlock(tx, actor, id)
    for (const agent of agents)
      if (await linkBlock(tx, actor, agent, id)) await tx.event(actor, 'block.attached', id, agent)
    const { organization_id } = actor
    const row = { group_id: group.id, block_id: id, organization_id, position }
    await tx.run(db.insertInto('groups_blocks').values(row))
  }
}

/** Deletes a group; its agents and blocks stay, and its manager's memory is looked after no longer. */
export async function deleteGroup(tx: Transaction, actor: Actor, row: GroupRow): Promise<void> {
  await tx.run(db.deleteFrom('groups').where('id', '=', row.id))
  if (row.manager_agent_id !== null && hasCompanions(row.manager_type as ManagerType))
    await setSleeptime(tx, actor, row.manager_agent_id, false)
}

/**
 * Before an agent is deleted: the groups that it leads go, and those whose last companion it is. Answers the companions
 * that are to be deleted with it: those that were made for the purpose.
 */
export async function leaveGroups(tx: Transaction, actor: Actor, agent_id: string): Promise<string[]> {
  const org = actor.organization_id
  const made = await filterEach(
    await companionsOf(tx, actor, agent_id),
    async (id) => await isCompanion(tx, actor, id),
  )
  for (const row of await managedBy.all(tx, { agent: agent_id, org }))
    await tx.run(db.deleteFrom('groups').where('id', '=', row.id))
  const joined = await tx.all(
    db
      .selectFrom('groups')
      .innerJoin('groups_agents', 'groups_agents.group_id', 'groups.id')
      .selectAll('groups')
      .where('groups_agents.agent_id', '=', agent_id)
      .where('groups.organization_id', '=', org),
  )
  await tx.run(db.deleteFrom('groups_agents').where('agent_id', '=', agent_id))
  for (const row of joined) {
    const left = await members.get(tx, { group: row.id })
    if (!left && hasCompanions(row.manager_type as ManagerType)) await deleteGroup(tx, actor, row)
  }
  return made
}

/** Attaches a block to an agent's companions too, except where its label is taken. */
export async function linkToCompanions(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  block_id: string,
): Promise<void> {
  for (const companion of await companionsOf(tx, actor, agent_id)) {
    const labels = await tx.all(
      db
        .selectFrom('agents_blocks')
        .innerJoin('blocks', 'blocks.label', 'agents_blocks.label')
        .select('agents_blocks.block_id')
        .where('agents_blocks.agent_id', '=', companion)
        .where('blocks.id', '=', block_id),
    )
    if (labels.length > 0) continue
    if (await linkBlock(tx, actor, companion, block_id))
      await tx.event(actor, 'block.attached', block_id, companion)
  }
}

/** Takes a block from an agent's companions too. */
export async function unlinkFromCompanions(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  block_id: string,
): Promise<void> {
  for (const companion of await companionsOf(tx, actor, agent_id))
    if (await unlinkBlock(tx, companion, block_id))
      await tx.event(actor, 'block.detached', block_id, companion)
}

/** The agents of a group, its manager among them. */
function agentsOf({ agent_ids, manager_agent_id }: Group): string[] {
  return [...new Set([...(manager_agent_id === null ? [] : [manager_agent_id]), ...agent_ids])]
}

/** Checks who leads a group and turns its companions on. */
async function lead(tx: Transaction, actor: Actor, group: Group): Promise<void> {
  const { manager_agent_id: manager, manager_type } = group
  if (manager === null) return
  await requireAgent(tx, actor, manager)
  if (!hasCompanions(manager_type)) return
  const others = await managedBy.all(tx, { agent: manager, org: actor.organization_id })
  if (others.some((row) => row.id !== group.id && hasCompanions(row.manager_type as ManagerType)))
    throw new AppError(
      'conflict',
      `The agent '${manager}' leads a sleep-time group already; change that one, or delete it first.`,
    )
  await setSleeptime(tx, actor, manager, true)
}

async function setSleeptime(tx: Transaction, actor: Actor, agent_id: string, on: boolean): Promise<void> {
  const row = await readAgentRow(tx, actor, agent_id)
  if (!row) return
  const data = JSON.stringify({ ...(JSON.parse(row.data) as object), enable_sleeptime: on })
  await tx.run(db.updateTable('agents').set({ data }).where('id', '=', agent_id))
  await tx.event(actor, 'agent.updated', agent_id, agent_id)
}

async function isCompanion(tx: Transaction, actor: Actor, agent_id: string): Promise<boolean> {
  const row = await readAgentRow(tx, actor, agent_id)
  const { agent_type } = JSON.parse(row?.data ?? '{}') as { agent_type?: string }
  return agent_type === 'sleeptime_agent' || agent_type === 'voice_sleeptime_agent'
}

async function requireAgent(tx: Transaction, actor: Actor, agent_id: string): Promise<void> {
  if (!(await readAgentRow(tx, actor, agent_id)))
    throw new AppError('not_found', `There is no agent '${agent_id}'.`)
}

async function requireBlock(tx: Transaction, actor: Actor, block_id: string): Promise<void> {
  const found = await tx.get(
    db
      .selectFrom('blocks')
      .select('id')
      .where('id', '=', block_id)
      .where('organization_id', '=', actor.organization_id),
  )
  if (!found) throw new AppError('not_found', `There is no block '${block_id}'.`)
}

function rowOf(actor: Actor, group: Group): Omit<GroupRow, 'created_at'> {
  const data: Data = {
    description: group.description,
    template_id: group.template_id,
    base_template_id: group.base_template_id,
    deployment_id: group.deployment_id,
    termination_token: group.termination_token,
    max_turns: group.max_turns,
    sleeptime_agent_frequency: group.sleeptime_agent_frequency,
    max_message_buffer_length: group.max_message_buffer_length,
    min_message_buffer_length: group.min_message_buffer_length,
  }
  return {
    id: group.id,
    organization_id: actor.organization_id,
    manager_type: group.manager_type,
    manager_agent_id: group.manager_agent_id,
    turns_counter: group.turns_counter,
    last_processed_message_id: group.last_processed_message_id,
    project_id: group.project_id,
    hidden: group.hidden === null ? null : Number(group.hidden),
    data: JSON.stringify(data),
  }
}

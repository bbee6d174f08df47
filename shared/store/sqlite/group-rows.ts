import type { Actor } from '../../core/ports/actor.ts'
import type { NewGroup } from '../../core/ports/group-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { Group, ManagerType } from '../../schema/group.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Transaction } from './database.ts'
import { linkBlock, unlinkBlock } from './links.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'
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
  sqlite.selectFrom('groups').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const managedBy = query<{ agent: string; org: string }>()((p) =>
  sqlite
    .selectFrom('groups')
    .selectAll()
    .where('manager_agent_id', '=', p.agent)
    .where('organization_id', '=', p.org)
    .orderBy('created_at')
    .orderBy('id'),
)
const members = query<{ group: string }>()((p) =>
  sqlite.selectFrom('groups_agents').select('agent_id').where('group_id', '=', p.group).orderBy('position'),
)
const blocks = query<{ group: string }>()((p) =>
  sqlite.selectFrom('groups_blocks').select('block_id').where('group_id', '=', p.group).orderBy('position'),
)
const companions = query<{ agent: string; org: string }>()((p) =>
  sqlite
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
export function readGroupRow(connection: Connection, actor: Actor, id: string): GroupRow | undefined {
  return byId.get(connection, { id, org: actor.organization_id })
}

/** The group of a row, with its agents and blocks. */
export function groupOfRow(connection: Connection, row: GroupRow): Group {
  return {
    ...(JSON.parse(row.data) as Data),
    id: row.id,
    manager_type: row.manager_type as ManagerType,
    agent_ids: members.all(connection, { group: row.id }).map((member) => member.agent_id),
    shared_block_ids: blocks.all(connection, { group: row.id }).map((block) => block.block_id),
    project_id: row.project_id,
    manager_agent_id: row.manager_agent_id,
    turns_counter: row.turns_counter,
    last_processed_message_id: row.last_processed_message_id,
    hidden: row.hidden === null ? null : row.hidden === 1,
  }
}

/** The group that an agent leads: the oldest, when there are several. */
export function groupManagedBy(connection: Connection, actor: Actor, agent_id: string): Group | null {
  const row = managedBy.get(connection, { agent: agent_id, org: actor.organization_id })
  return row ? groupOfRow(connection, row) : null
}

/** The agents that look after the memory of this one. */
export function companionsOf(connection: Connection, actor: Actor, agent_id: string): string[] {
  return companions
    .all(connection, { agent: agent_id, org: actor.organization_id })
    .map((row) => row.agent_id)
}

/** Stores a group with its agents and blocks. Errors as `GroupStore.create`. */
export function insertGroup(tx: Transaction, actor: Actor, group: NewGroup): void {
  const { agent_ids, shared_block_ids } = group
  tx.run(sqlite.insertInto('groups').values({ ...rowOf(actor, group), created_at: group.created_at }))
  lead(tx, actor, group)
  setMembers(tx, actor, group.id, agent_ids)
  setSharedBlocks(tx, actor, { ...group, shared_block_ids: [] }, shared_block_ids)
}

/** Writes the fields of a group as they are to be, but for its agents and blocks. */
export function writeGroup(tx: Transaction, actor: Actor, before: Group, next: Group): void {
  tx.run(sqlite.updateTable('groups').set(rowOf(actor, next)).where('id', '=', next.id))
  if (next.manager_agent_id === before.manager_agent_id) return
  if (before.manager_agent_id !== null && hasCompanions(next.manager_type))
    setSleeptime(tx, actor, before.manager_agent_id, false)
  lead(tx, actor, next)
}

/** Makes these the agents of a group. */
export function setMembers(tx: Transaction, actor: Actor, group_id: string, ids: readonly string[]): void {
  tx.run(sqlite.deleteFrom('groups_agents').where('group_id', '=', group_id))
  for (const [position, agent_id] of [...new Set(ids)].entries()) {
    requireAgent(tx, actor, agent_id)
    tx.run(
      sqlite
        .insertInto('groups_agents')
        .values({ group_id, agent_id, organization_id: actor.organization_id, position }),
    )
  }
}

/** Makes these the shared blocks of a group, attached to all of its agents. Errors as `linkBlock`. */
export function setSharedBlocks(tx: Transaction, actor: Actor, group: Group, ids: readonly string[]): void {
  const agents = agentsOf(group)
  for (const id of group.shared_block_ids.filter((known) => !ids.includes(known)))
    for (const agent of agents) if (unlinkBlock(tx, agent, id)) tx.event(actor, 'block.detached', id, agent)
  tx.run(sqlite.deleteFrom('groups_blocks').where('group_id', '=', group.id))
  for (const [position, id] of [...new Set(ids)].entries()) {
    requireBlock(tx, actor, id)
    for (const agent of agents)
      if (linkBlock(tx, actor, agent, id)) tx.event(actor, 'block.attached', id, agent)
    const { organization_id } = actor
    const row = { group_id: group.id, block_id: id, organization_id, position }
    tx.run(sqlite.insertInto('groups_blocks').values(row))
  }
}

/** Deletes a group; its agents and blocks stay, and its manager's memory is looked after no longer. */
export function deleteGroup(tx: Transaction, actor: Actor, row: GroupRow): void {
  tx.run(sqlite.deleteFrom('groups').where('id', '=', row.id))
  if (row.manager_agent_id !== null && hasCompanions(row.manager_type as ManagerType))
    setSleeptime(tx, actor, row.manager_agent_id, false)
}

/**
 * Before an agent is deleted: the groups that it leads go, and those whose last companion it is. Answers the companions
 * that are to be deleted with it: those that were made for the purpose.
 */
export function leaveGroups(tx: Transaction, actor: Actor, agent_id: string): string[] {
  const org = actor.organization_id
  const made = companionsOf(tx, actor, agent_id).filter((id) => isCompanion(tx, actor, id))
  for (const row of managedBy.all(tx, { agent: agent_id, org }))
    tx.run(sqlite.deleteFrom('groups').where('id', '=', row.id))
  const joined = tx.all(
    sqlite
      .selectFrom('groups')
      .innerJoin('groups_agents', 'groups_agents.group_id', 'groups.id')
      .selectAll('groups')
      .where('groups_agents.agent_id', '=', agent_id)
      .where('groups.organization_id', '=', org),
  )
  tx.run(sqlite.deleteFrom('groups_agents').where('agent_id', '=', agent_id))
  for (const row of joined) {
    const left = members.get(tx, { group: row.id })
    if (!left && hasCompanions(row.manager_type as ManagerType)) deleteGroup(tx, actor, row)
  }
  return made
}

/** Attaches a block to an agent's companions too, except where its label is taken. */
export function linkToCompanions(tx: Transaction, actor: Actor, agent_id: string, block_id: string): void {
  for (const companion of companionsOf(tx, actor, agent_id)) {
    const labels = tx.all(
      sqlite
        .selectFrom('agents_blocks')
        .innerJoin('blocks', 'blocks.label', 'agents_blocks.label')
        .select('agents_blocks.block_id')
        .where('agents_blocks.agent_id', '=', companion)
        .where('blocks.id', '=', block_id),
    )
    if (labels.length > 0) continue
    if (linkBlock(tx, actor, companion, block_id)) tx.event(actor, 'block.attached', block_id, companion)
  }
}

/** Takes a block from an agent's companions too. */
export function unlinkFromCompanions(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  block_id: string,
): void {
  for (const companion of companionsOf(tx, actor, agent_id))
    if (unlinkBlock(tx, companion, block_id)) tx.event(actor, 'block.detached', block_id, companion)
}

/** The agents of a group, its manager among them. */
function agentsOf({ agent_ids, manager_agent_id }: Group): string[] {
  return [...new Set([...(manager_agent_id === null ? [] : [manager_agent_id]), ...agent_ids])]
}

/** Checks who leads a group and turns its companions on. */
function lead(tx: Transaction, actor: Actor, group: Group): void {
  const { manager_agent_id: manager, manager_type } = group
  if (manager === null) return
  requireAgent(tx, actor, manager)
  if (!hasCompanions(manager_type)) return
  const others = managedBy.all(tx, { agent: manager, org: actor.organization_id })
  if (others.some((row) => row.id !== group.id && hasCompanions(row.manager_type as ManagerType)))
    throw new AppError(
      'conflict',
      `The agent '${manager}' leads a sleep-time group already; change that one, or delete it first.`,
    )
  setSleeptime(tx, actor, manager, true)
}

function setSleeptime(tx: Transaction, actor: Actor, agent_id: string, on: boolean): void {
  const row = readAgentRow(tx, actor, agent_id)
  if (!row) return
  const data = JSON.stringify({ ...(JSON.parse(row.data) as object), enable_sleeptime: on })
  tx.run(sqlite.updateTable('agents').set({ data }).where('id', '=', agent_id))
  tx.event(actor, 'agent.updated', agent_id, agent_id)
}

function isCompanion(tx: Transaction, actor: Actor, agent_id: string): boolean {
  const row = readAgentRow(tx, actor, agent_id)
  const { agent_type } = JSON.parse(row?.data ?? '{}') as { agent_type?: string }
  return agent_type === 'sleeptime_agent' || agent_type === 'voice_sleeptime_agent'
}

function requireAgent(tx: Transaction, actor: Actor, agent_id: string): void {
  if (!readAgentRow(tx, actor, agent_id)) throw new AppError('not_found', `There is no agent '${agent_id}'.`)
}

function requireBlock(tx: Transaction, actor: Actor, block_id: string): void {
  const found = tx.get(
    sqlite
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

import { mapEach } from '../each.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { GroupFilter, GroupPatch, GroupStore, NewGroup } from '../../core/ports/group-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { Group } from '../../schema/group.ts'
import type { Page } from '../../schema/page.ts'
import type { Database, Transaction } from './database.ts'
import {
  deleteGroup,
  groupOfRow,
  insertGroup,
  readGroupRow,
  setMembers,
  setSharedBlocks,
  writeGroup,
} from './group-rows.ts'
import { windowOf } from './page.ts'
import { query, db } from './query.ts'

const sleeptimeGroup = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('groups')
    .selectAll()
    .where('manager_agent_id', '=', p.agent)
    .where('organization_id', '=', p.org)
    .where('manager_type', '=', 'sleeptime')
    .limit(1),
)

/** Groups of agents with their members and shared blocks. */
export class SqlGroups implements GroupStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  create(actor: Actor, group: NewGroup): Promise<Group> {
    return this.#database.write(async (tx) => {
      await insertGroup(tx, actor, group)
      return await this.#stored(tx, actor, group.id)
    })
  }

  get(actor: Actor, group_id: string): Promise<Group | null> {
    return this.#database.read(async (c) => {
      const row = await readGroupRow(c, actor, group_id)
      return row ? await groupOfRow(c, row) : null
    })
  }

  list(actor: Actor, filter: GroupFilter, page: Page): Promise<Group[]> {
    return this.#database.read(async (c) => {
      const sorting = { table: 'groups', column: 'created_at' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = filtered(actor, filter).selectAll('groups')
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = await mapEach(
        await c.all(rows.orderBy(window.direction).limit(page.limit)),
        async (row) => await groupOfRow(c, row),
      )
      return window.turned ? found.toReversed() : found
    })
  }

  count(actor: Actor): Promise<number> {
    return this.#database.read(
      async (c) =>
        (await c.get(filtered(actor, {}).select((eb) => eb.fn.countAll<number>().as('n'))))?.n ?? 0,
    )
  }

  update(actor: Actor, group_id: string, patch: GroupPatch): Promise<Group | null> {
    return this.#database.write(async (tx) => {
      const row = await readGroupRow(tx, actor, group_id)
      if (!row) return null
      const before = await groupOfRow(tx, row)
      const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
      const next: Group = { ...before, ...given }
      await writeGroup(tx, actor, before, next)
      if (patch.agent_ids) await setMembers(tx, actor, group_id, patch.agent_ids)
      if (patch.agent_ids || patch.shared_block_ids || patch.manager_agent_id)
        await setSharedBlocks(
          tx,
          actor,
          { ...next, shared_block_ids: before.shared_block_ids },
          next.shared_block_ids,
        )
      return await this.#stored(tx, actor, group_id)
    })
  }

  delete(actor: Actor, group_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => {
      const row = await readGroupRow(tx, actor, group_id)
      if (!row) return false
      await deleteGroup(tx, actor, row)
      return true
    })
  }

  attachBlock(actor: Actor, group_id: string, block_id: string): Promise<void> {
    return this.#database.write(async (tx) => {
      const group = await this.#stored(tx, actor, group_id)
      await setSharedBlocks(tx, actor, group, [...group.shared_block_ids, block_id])
    })
  }

  detachBlock(actor: Actor, group_id: string, block_id: string): Promise<void> {
    return this.#database.write(async (tx) => {
      const group = await this.#stored(tx, actor, group_id)
      const left = group.shared_block_ids.filter((id) => id !== block_id)
      await setSharedBlocks(tx, actor, group, left)
    })
  }

  countTurn(actor: Actor, manager_agent_id: string): Promise<Group | null> {
    return this.#database.write(async (tx) => {
      const row = await sleeptimeGroup.get(tx, { agent: manager_agent_id, org: actor.organization_id })
      if (!row) return null
      const turns_counter = (row.turns_counter ?? 0) + 1
      await tx.run(db.updateTable('groups').set({ turns_counter }).where('id', '=', row.id))
      return await groupOfRow(tx, { ...row, turns_counter })
    })
  }

  setProcessed(actor: Actor, group_id: string, message_id: string): Promise<void> {
    return this.#database.write(async (tx) => {
      await tx.run(
        db
          .updateTable('groups')
          .set({ last_processed_message_id: message_id })
          .where('id', '=', group_id)
          .where('organization_id', '=', actor.organization_id),
      )
    })
  }

  async #stored(tx: Transaction, actor: Actor, group_id: string): Promise<Group> {
    const row = await readGroupRow(tx, actor, group_id)
    if (!row) throw new AppError('not_found', `There is no group '${group_id}'.`)
    return await groupOfRow(tx, row)
  }
}

function filtered(actor: Actor, filter: GroupFilter) {
  let rows = db.selectFrom('groups').where('groups.organization_id', '=', actor.organization_id)
  const { agent_id, manager_type, project_id } = filter
  if (manager_type !== undefined) rows = rows.where('manager_type', '=', manager_type)
  if (project_id !== undefined) rows = rows.where('project_id', '=', project_id)
  if (agent_id !== undefined)
    rows = rows.where((eb) =>
      eb.or([
        eb('manager_agent_id', '=', agent_id),
        eb('id', 'in', db.selectFrom('groups_agents').select('group_id').where('agent_id', '=', agent_id)),
      ]),
    )
  if (!filter.show_hidden) rows = rows.where((eb) => eb(eb.fn.coalesce('hidden', eb.lit(0)), '=', 0))
  return rows
}

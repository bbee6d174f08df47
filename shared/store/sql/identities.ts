import { mapEach } from '../each.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { IdentityFilter, IdentityLink, IdentityStore } from '../../core/ports/identity-store.ts'
import { agentNotFound, AppError } from '../../schema/errors.ts'
import type { CreateIdentity, Identity, UpdateIdentity } from '../../schema/identity.ts'
import { newId } from '../../schema/ids.ts'
import type { Page } from '../../schema/page.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Database, Transaction } from './database.ts'
import { isConstraint } from './errors.ts'
import { identityOfRow, linkIdentity, readIdentityRow, unlinkIdentity } from './identity-rows.ts'
import { contains, windowOf } from './page.ts'
import { db } from './query.ts'
import type { IdentityRow } from './tables.ts'

/** Identities with their agents and blocks. */
export class SqlIdentities implements IdentityStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  create(actor: Actor, identity: CreateIdentity): Promise<Identity> {
    return this.#database.write(async (tx) => await insert(tx, actor, identity))
  }

  upsert(actor: Actor, identity: CreateIdentity): Promise<Identity> {
    return this.#database.write(async (tx) => {
      const row = await tx.get(
        db
          .selectFrom('identities')
          .selectAll()
          .where('organization_id', '=', actor.organization_id)
          .where('identifier_key', '=', identity.identifier_key)
          .where('project_id', 'is', identity.project_id ?? null),
      )
      if (!row) return await insert(tx, actor, identity)
      return await change(tx, actor, row, identity, true)
    })
  }

  get(actor: Actor, identity_id: string): Promise<Identity | null> {
    return this.#database.read(async (c) => {
      const row = await readIdentityRow(c, actor, identity_id)
      return row ? await identityOfRow(c, row) : null
    })
  }

  list(actor: Actor, filter: IdentityFilter, page: Page): Promise<Identity[]> {
    return this.#database.read(async (c) => {
      const sorting = { table: 'identities', column: 'created_at' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = filtered(actor, filter).selectAll('identities')
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = await mapEach(
        await c.all(rows.orderBy(window.direction).limit(page.limit)),
        async (row) => await identityOfRow(c, row),
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

  update(
    actor: Actor,
    identity_id: string,
    patch: UpdateIdentity,
    options: { replace?: boolean } = {},
  ): Promise<Identity | null> {
    return this.#database.write(async (tx) => {
      const row = await readIdentityRow(tx, actor, identity_id)
      return row ? await change(tx, actor, row, patch, options.replace ?? false) : null
    })
  }

  delete(actor: Actor, identity_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => {
      const row = await readIdentityRow(tx, actor, identity_id)
      if (!row) return false
      for (const agent_id of (await identityOfRow(tx, row)).agent_ids)
        await unlinkIdentity(tx, actor, identity_id, { agent_id })
      await tx.run(db.deleteFrom('identities').where('id', '=', identity_id))
      return true
    })
  }

  attach(actor: Actor, identity_id: string, to: IdentityLink): Promise<void> {
    return this.#database.write(async (tx) => await linkIdentity(tx, actor, identity_id, to))
  }

  detach(actor: Actor, identity_id: string, from: IdentityLink): Promise<void> {
    return this.#database.write(async (tx) => {
      if ('agent_id' in from && !(await readAgentRow(tx, actor, from.agent_id))) throw agentNotFound()
      if (!(await readIdentityRow(tx, actor, identity_id)))
        throw new AppError('not_found', `There is no identity '${identity_id}'.`)
      await unlinkIdentity(tx, actor, identity_id, from)
    })
  }
}

async function insert(tx: Transaction, actor: Actor, identity: CreateIdentity): Promise<Identity> {
  const now = new Date().toISOString()
  const row: IdentityRow = {
    id: newId('identity'),
    organization_id: actor.organization_id,
    identifier_key: identity.identifier_key,
    name: identity.name,
    identity_type: identity.identity_type,
    project_id: identity.project_id ?? null,
    properties: JSON.stringify(identity.properties ?? []),
    created_at: now,
    updated_at: now,
  }
  await unlessTaken(
    identity.identifier_key,
    async () => await tx.run(db.insertInto('identities').values(row)),
  )
  await linkAll(tx, actor, row.id, identity)
  return await identityOfRow(tx, row)
}

/** Changes what is given of an identity and links; see `IdentityStore.update`. */
async function change(
  tx: Transaction,
  actor: Actor,
  row: IdentityRow,
  patch: UpdateIdentity,
  replace: boolean,
): Promise<Identity> {
  const before = await identityOfRow(tx, row)
  const given = patch.properties
  const kept = before.properties.filter(({ key }) => !given?.some((property) => property.key === key))
  const properties = given ? [...(replace ? [] : kept), ...given] : before.properties
  const next: IdentityRow = {
    ...row,
    identifier_key: patch.identifier_key ?? row.identifier_key,
    name: patch.name ?? row.name,
    identity_type: patch.identity_type ?? row.identity_type,
    properties: JSON.stringify(properties),
    updated_at: new Date().toISOString(),
  }
  await unlessTaken(
    next.identifier_key,
    async () => await tx.run(db.updateTable('identities').set(next).where('id', '=', row.id)),
  )
  const { agent_ids, block_ids } = patch
  if (replace) {
    for (const agent_id of agent_ids ? before.agent_ids : [])
      if (!agent_ids?.includes(agent_id)) await unlinkIdentity(tx, actor, row.id, { agent_id })
    for (const block_id of block_ids ? before.block_ids : [])
      if (!block_ids?.includes(block_id)) await unlinkIdentity(tx, actor, row.id, { block_id })
  }
  await linkAll(tx, actor, row.id, patch)
  return await identityOfRow(tx, next)
}

async function linkAll(
  tx: Transaction,
  actor: Actor,
  identity_id: string,
  { agent_ids, block_ids }: Pick<UpdateIdentity, 'agent_ids' | 'block_ids'>,
): Promise<void> {
  for (const agent_id of agent_ids ?? []) await linkIdentity(tx, actor, identity_id, { agent_id })
  for (const block_id of block_ids ?? []) await linkIdentity(tx, actor, identity_id, { block_id })
}

async function unlessTaken(identifier_key: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isConstraint(error)) throw error
    throw new AppError(
      'conflict',
      `There is an identity with the identifier_key '${identifier_key}' already. Keys are unique in a project: ` +
        'choose another one, or use PUT /v1/identities/ to change that identity.',
      { cause: error },
    )
  }
}

function filtered(actor: Actor, filter: IdentityFilter) {
  let rows = db.selectFrom('identities').where('identities.organization_id', '=', actor.organization_id)
  const { name, project_id, identifier_key, identity_type } = filter
  if (name !== undefined) rows = rows.where(contains('identities.name', name))
  if (project_id !== undefined) rows = rows.where('project_id', '=', project_id)
  if (identifier_key !== undefined) rows = rows.where('identifier_key', '=', identifier_key)
  if (identity_type !== undefined) rows = rows.where('identity_type', '=', identity_type)
  return rows
}

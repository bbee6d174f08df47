import { mapEach } from '../each.ts'
import type { RawBuilder, SqlBool } from 'kysely'
import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { IdentityLink } from '../../core/ports/identity-store.ts'
import { agentNotFound, AppError } from '../../schema/errors.ts'
import type { Identity } from '../../schema/identity.ts'
import type { Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { IdentityRow } from './tables.ts'

const byId = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('identities').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const agentsOf = query<{ identity: string }>()((p) =>
  db
    .selectFrom('identities_agents')
    .select('agent_id')
    .where('identity_id', '=', p.identity)
    .orderBy('agent_id'),
)
const blocksOf = query<{ identity: string }>()((p) =>
  db
    .selectFrom('identities_blocks')
    .select('block_id')
    .where('identity_id', '=', p.identity)
    .orderBy('block_id'),
)
const ofAgent = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('identities')
    .innerJoin('identities_agents', 'identities_agents.identity_id', 'identities.id')
    .selectAll('identities')
    .where('identities_agents.agent_id', '=', p.agent)
    .where('identities.organization_id', '=', p.org)
    .orderBy('identities.created_at')
    .orderBy('identities.id'),
)
const agentThere = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('agents').select('id').where('id', '=', p.id).where('organization_id', '=', p.org),
)
const blockThere = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('blocks').select('id').where('id', '=', p.id).where('organization_id', '=', p.org),
)

/** The row of an identity of the actor's organisation. */
export async function readIdentityRow(
  connection: Connection,
  actor: Actor,
  id: string,
): Promise<IdentityRow | undefined> {
  return await byId.get(connection, { id, org: actor.organization_id })
}

/** The identity of a row, with the ids of what belongs to it. */
export async function identityOfRow(connection: Connection, row: IdentityRow): Promise<Identity> {
  return {
    id: row.id,
    identifier_key: row.identifier_key,
    name: row.name,
    identity_type: row.identity_type as Identity['identity_type'],
    project_id: row.project_id,
    agent_ids: (await agentsOf.all(connection, { identity: row.id })).map(({ agent_id }) => agent_id),
    block_ids: (await blocksOf.all(connection, { identity: row.id })).map(({ block_id }) => block_id),
    properties: JSON.parse(row.properties) as Identity['properties'],
  }
}

/** The identities that an agent belongs to, oldest first. */
export async function identitiesOfAgent(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): Promise<Identity[]> {
  return await mapEach(
    await ofAgent.all(connection, { agent: agent_id, org: actor.organization_id }),
    async (row) => await identityOfRow(connection, row),
  )
}

/** Links an agent or block with an identity; again is the same as once. Throws `not_found` for what is not there. */
export async function linkIdentity(
  tx: Transaction,
  actor: Actor,
  identity_id: string,
  to: IdentityLink,
): Promise<void> {
  const org = actor.organization_id
  if (!(await readIdentityRow(tx, actor, identity_id)))
    throw new AppError('not_found', `There is no identity '${identity_id}'.`)
  if ('agent_id' in to) {
    if (!(await agentThere.get(tx, { id: to.agent_id, org }))) throw agentNotFound()
    const values = { identity_id, agent_id: to.agent_id, organization_id: org }
    const link = db.insertInto('identities_agents').values(values)
    if ((await tx.run(link.onConflict((conflict) => conflict.doNothing()))) > 0)
      await tx.event(actor, 'agent.updated', to.agent_id, to.agent_id)
    return
  }
  if (!(await blockThere.get(tx, { id: to.block_id, org })))
    throw new AppError('not_found', `There is no block '${to.block_id}'.`)
  const values = { identity_id, block_id: to.block_id, organization_id: org }
  await tx.run(
    db
      .insertInto('identities_blocks')
      .values(values)
      .onConflict((conflict) => conflict.doNothing()),
  )
}

/** Takes an agent or block from an identity. */
export async function unlinkIdentity(
  tx: Transaction,
  actor: Actor,
  identity_id: string,
  from: IdentityLink,
): Promise<void> {
  if ('block_id' in from) {
    await tx.run(
      db
        .deleteFrom('identities_blocks')
        .where('identity_id', '=', identity_id)
        .where('block_id', '=', from.block_id),
    )
    return
  }
  const links = db.deleteFrom('identities_agents').where('identity_id', '=', identity_id)
  if ((await tx.run(links.where('agent_id', '=', from.agent_id))) > 0)
    await tx.event(actor, 'agent.updated', from.agent_id, from.agent_id)
}

/** Makes these the identities of an agent. Errors as `linkIdentity`. */
export async function replaceIdentities(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  ids: readonly string[],
): Promise<void> {
  const before = (await identitiesOfAgent(tx, actor, agent_id)).map(({ id }) => id)
  for (const id of before) if (!ids.includes(id)) await unlinkIdentity(tx, actor, id, { agent_id })
  for (const id of ids) await linkIdentity(tx, actor, id, { agent_id })
}

interface IdentityQuery {
  identity_id?: string | undefined
  identifier_keys?: string[] | undefined
}

/** Whether a list is asked for what belongs to an identity. */
export function asksForIdentity(filter: IdentityQuery): boolean {
  return filter.identity_id !== undefined || (filter.identifier_keys?.length ?? 0) > 0
}

/** The rows of `identities` that such a list is asked for. */
export function ofIdentity({ identity_id, identifier_keys = [] }: IdentityQuery): RawBuilder<SqlBool> {
  const id = identity_id === undefined ? sql<SqlBool>`true` : sql<SqlBool>`identities.id = ${identity_id}`
  if (identifier_keys.length === 0) return id
  return sql<SqlBool>`${id} and identities.identifier_key in (${sql.join(identifier_keys)})`
}

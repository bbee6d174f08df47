import { sql } from 'kysely'
import type { AccessTokenStore, StoredAccessToken } from '../../core/ports/access-token-store.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { AgentAccess } from '../../schema/access-token.ts'
import { agentNotFound } from '../../schema/errors.ts'
import type { User } from '../../schema/user.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Database } from './database.ts'
import { query, db, portable } from './query.ts'
import type { AccessTokenRow } from './tables.ts'
import { livingUser } from './users.ts'

const byHash = query<{ hash: Uint8Array }>()((p) =>
  db.selectFrom('access_tokens').selectAll().where('hash', '=', p.hash),
)
const withOrigin = query<{ origin: string; since: string }>()((p) =>
  db
    .selectFrom('access_tokens')
    .select('id')
    .where('origin', '=', p.origin)
    .where('expires_at', '>=', p.since)
    .limit(1),
)

/** Tokens of web pages. */
export class SqlAccessTokens implements AccessTokenStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  create(
    actor: Actor,
    token: Omit<StoredAccessToken, 'organization_id' | 'user_id'>,
    { hash, forget }: { hash: Uint8Array; forget: string },
  ): Promise<StoredAccessToken> {
    const { organization_id, user_id } = actor
    return this.#database.write(async (tx) => {
      for (const { id } of token.policy) if (!(await readAgentRow(tx, actor, id))) throw agentNotFound()
      await tx.send(
        db
          .deleteFrom('access_tokens')
          .where('organization_id', '=', organization_id)
          .where('expires_at', '<', forget),
      )
      const made = { ...token, organization_id, user_id }
      await tx.send(
        db.insertInto('access_tokens').values({ ...made, policy: JSON.stringify(token.policy), hash }),
      )
      return made
    })
  }

  list(
    actor: Actor,
    { agent_id, now }: { agent_id?: string | undefined; now: string },
    { offset, limit }: { offset: number; limit: number },
  ): Promise<StoredAccessToken[]> {
    return this.#database.read(async (c) => {
      let rows = db
        .selectFrom('access_tokens')
        .selectAll()
        .where('organization_id', '=', actor.organization_id)
        .where('expires_at', '>', now)
      if (agent_id !== undefined)
        rows = rows.where(
          portable<boolean>({
            sqlite: sql`exists (select 1 from json_each(policy) where value ->> '$.id' = ${agent_id})`,
            postgres: sql`exists (select 1 from json_array_elements(policy::json) as rule where rule ->> 'id' = ${agent_id})`,
          }),
        )
      return (
        await c.all(rows.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).offset(offset))
      ).map(tokenOf)
    })
  }

  end(actor: Actor, by: { id: string } | { hash: Uint8Array }, now: string): Promise<boolean> {
    return this.#database.write(async (tx) => {
      const living = db
        .updateTable('access_tokens')
        .set({ expires_at: now })
        .where('organization_id', '=', actor.organization_id)
        .where('expires_at', '>', now)
      return (
        (await tx.run('id' in by ? living.where('id', '=', by.id) : living.where('hash', '=', by.hash))) > 0
      )
    })
  }

  holder(hash: Uint8Array): Promise<{ token: StoredAccessToken; user: User } | null> {
    return this.#database.read(async (c) => {
      const row = await byHash.get(c, { hash })
      const user = row ? await livingUser(c, row.user_id) : null
      return row && user ? { token: tokenOf(row), user } : null
    })
  }

  hasOrigin(origin: string, since: string): Promise<boolean> {
    return this.#database.read(async (c) => (await withOrigin.get(c, { origin, since })) !== undefined)
  }
}

function tokenOf(row: AccessTokenRow): StoredAccessToken {
  const { hash: _, policy, ...rest } = row
  return { ...rest, policy: JSON.parse(policy) as AgentAccess[] }
}

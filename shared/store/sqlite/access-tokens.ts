import { sql } from 'kysely'
import type { AccessTokenStore, StoredAccessToken } from '../../core/ports/access-token-store.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { AgentAccess } from '../../schema/access-token.ts'
import { agentNotFound } from '../../schema/errors.ts'
import type { User } from '../../schema/user.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Database } from './database.ts'
import { query, sqlite } from './query.ts'
import type { AccessTokenRow } from './tables.ts'
import { livingUser } from './users.ts'

const byHash = query<{ hash: Uint8Array }>()((p) =>
  sqlite.selectFrom('access_tokens').selectAll().where('hash', '=', p.hash),
)
const withOrigin = query<{ origin: string; since: string }>()((p) =>
  sqlite
    .selectFrom('access_tokens')
    .select('id')
    .where('origin', '=', p.origin)
    .where('expires_at', '>=', p.since)
    .limit(1),
)

/** Tokens of web pages. */
export class SqliteAccessTokens implements AccessTokenStore {
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
    return this.#database.write((tx) => {
      for (const { id } of token.policy) if (!readAgentRow(tx, actor, id)) throw agentNotFound()
      tx.run(
        sqlite
          .deleteFrom('access_tokens')
          .where('organization_id', '=', organization_id)
          .where('expires_at', '<', forget),
      )
      const made = { ...token, organization_id, user_id }
      tx.run(
        sqlite.insertInto('access_tokens').values({ ...made, policy: JSON.stringify(token.policy), hash }),
      )
      return made
    })
  }

  list(
    actor: Actor,
    { agent_id, now }: { agent_id?: string | undefined; now: string },
    { offset, limit }: { offset: number; limit: number },
  ): Promise<StoredAccessToken[]> {
    return this.#database.read((c) => {
      let rows = sqlite
        .selectFrom('access_tokens')
        .selectAll()
        .where('organization_id', '=', actor.organization_id)
        .where('expires_at', '>', now)
      if (agent_id !== undefined)
        rows = rows.where(
          sql<boolean>`exists (select 1 from json_each(policy) where value ->> '$.id' = ${agent_id})`,
        )
      return c
        .all(rows.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).offset(offset))
        .map(tokenOf)
    })
  }

  end(actor: Actor, by: { id: string } | { hash: Uint8Array }, now: string): Promise<boolean> {
    return this.#database.write((tx) => {
      const living = sqlite
        .updateTable('access_tokens')
        .set({ expires_at: now })
        .where('organization_id', '=', actor.organization_id)
        .where('expires_at', '>', now)
      return tx.run('id' in by ? living.where('id', '=', by.id) : living.where('hash', '=', by.hash)) > 0
    })
  }

  holder(hash: Uint8Array): Promise<{ token: StoredAccessToken; user: User } | null> {
    return this.#database.read((c) => {
      const row = byHash.get(c, { hash })
      const user = row ? livingUser(c, row.user_id) : null
      return row && user ? { token: tokenOf(row), user } : null
    })
  }

  hasOrigin(origin: string, since: string): Promise<boolean> {
    return this.#database.read((c) => withOrigin.get(c, { origin, since }) !== undefined)
  }
}

function tokenOf(row: AccessTokenRow): StoredAccessToken {
  const { hash: _, policy, ...rest } = row
  return { ...rest, policy: JSON.parse(policy) as AgentAccess[] }
}

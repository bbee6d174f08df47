import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { KeyHolder, UserStore } from '../../core/ports/user-store.ts'
import { AppError } from '../../schema/errors.ts'
import { DEFAULT_ORGANIZATION_ID, DEFAULT_USER_ID } from '../../schema/ids.ts'
import type { Page } from '../../schema/page.ts'
import type { ApiKey, Organization, Role, User } from '../../schema/user.ts'
import type { Database, Transaction } from './database.ts'
import { unknownCursor } from './page.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { ApiKeyRow, OrganizationRow, UserRow } from './tables.ts'

/** How old the note of a key's last use may be, in milliseconds. */
const USE_NOTED_EVERY_MS = 60_000
/** How long counts of requests are kept, in hours. */
const KEEP_COUNTS = 2
/** When the default organisation and user were made. */
const MADE = new Date(0).toISOString()

const keyByHash = query<{ hash: Uint8Array }>()((p) =>
  db.selectFrom('api_keys').selectAll().where('hash', '=', p.hash).where('revoked_at', 'is', null),
)
const userById = query<{ id: string }>()((p) =>
  db.selectFrom('users').selectAll().where('id', '=', p.id).where('deleted_at', 'is', null),
)

/** Organisations, users, keys and the requests they make. The default organisation and user have no rows of their own. */
export class SqlUsers implements UserStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  createOrganization({ id, name, created_at }: Organization): Promise<Organization> {
    return this.#database.write(async (tx) => {
      await this.#refuseOrganization(tx, name)
      await tx.run(db.insertInto('organizations').values({ id, name, created_at }))
      return organizationOf({ id, name, created_at })
    })
  }

  listOrganizations(page: Page): Promise<Organization[]> {
    return this.#database.read(async (c) =>
      pageOf(
        [this.#ownOrganization(), ...(await c.all(db.selectFrom('organizations').selectAll()))].map(
          organizationOf,
        ),
        page,
      ),
    )
  }

  organization(organization_id: string): Promise<Organization | null> {
    return this.#database.read(async (c) => {
      const row = await this.#organization(c, organization_id)
      return row ? organizationOf(row) : null
    })
  }

  renameOrganization(organization_id: string, name: string): Promise<Organization | null> {
    return this.#database.write(async (tx) => {
      if (organization_id === DEFAULT_ORGANIZATION_ID)
        throw new AppError(
          'invalid_argument',
          'the default organisation keeps its name: it is that of the server itself',
        )
      await this.#refuseOrganization(tx, name, organization_id)
      await tx.run(db.updateTable('organizations').set({ name }).where('id', '=', organization_id))
      const row = await this.#organization(tx, organization_id)
      return row ? organizationOf(row) : null
    })
  }

  deleteOrganization(organization_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => {
      if (organization_id === DEFAULT_ORGANIZATION_ID)
        throw new AppError(
          'conflict',
          'the default organisation cannot be deleted: it is that of the server itself',
        )
      if (!(await this.#organization(tx, organization_id))) return false
      for (const [table, what] of [
        ['users', 'users'],
        ['agents', 'agents'],
        ['blocks', 'blocks'],
        ['archives', 'archives'],
        ['folders', 'folders'],
        ['templates', 'templates'],
      ] as const) {
        const living = db.selectFrom(table).select('id').where('organization_id', '=', organization_id)
        const row = await tx.get(
          (table === 'users' ? living.where(sql.ref('deleted_at'), 'is', null) : living).limit(1),
        )
        if (row)
          throw new AppError(
            'conflict',
            `organisation ${organization_id} still has ${what}, for example ${row.id}: delete them first`,
          )
      }
      for (const table of ['api_keys', 'access_tokens', 'users', 'tools'] as const)
        await tx.run(db.deleteFrom(table).where('organization_id', '=', organization_id))
      await tx.run(db.deleteFrom('organizations').where('id', '=', organization_id))
      return true
    })
  }

  create(actor: Actor, user: User): Promise<User> {
    return this.#database.write(async (tx) => {
      if (!(await this.#organization(tx, actor.organization_id)))
        throw new AppError('not_found', `Organization ${actor.organization_id} not found`)
      const { id, name, role, created_at, updated_at } = user
      const { organization_id } = actor
      await refuseName(tx, organization_id, name)
      // A default user of this organisation is none: keys and counts hang on rows.
      if (organization_id === DEFAULT_ORGANIZATION_ID) await this.#keepDefault(tx)
      const limits = JSON.stringify(user.limits)
      const row = { id, organization_id, name, role, limits, created_at, updated_at, deleted_at: null }
      await tx.run(db.insertInto('users').values(row))
      return userOf(row)
    })
  }

  find(user_id: string): Promise<User | null> {
    return this.#database.read(async (c) => await livingUser(c, user_id))
  }

  async get(actor: Actor, user_id: string): Promise<User | null> {
    const user = await this.find(user_id)
    return user?.organization_id === actor.organization_id ? user : null
  }

  list(actor: Actor, page: Page): Promise<User[]> {
    return this.#database.read(async (c) => {
      const rows = await livingUsers(c, actor.organization_id)
      const own = actor.organization_id === DEFAULT_ORGANIZATION_ID ? [ownUser()] : []
      return pageOf([...own, ...rows.map(userOf)], page)
    })
  }

  listAll(page: Page): Promise<User[]> {
    return this.#database.read(async (c) => pageOf([ownUser(), ...(await livingUsers(c)).map(userOf)], page))
  }

  update(
    actor: Actor,
    user_id: string,
    patch: Partial<Pick<User, 'name' | 'role' | 'limits'>>,
  ): Promise<User | null> {
    return this.#database.write(async (tx) => {
      const row = await rowOfUser(tx, actor, user_id)
      if (!row) return null
      const { name = row.name, role = row.role, limits } = patch
      if (name !== row.name) await refuseName(tx, actor.organization_id, name)
      const kept = { ...(JSON.parse(row.limits) as User['limits']), ...limits }
      const next = { name, role, limits: JSON.stringify(kept), updated_at: new Date().toISOString() }
      await tx.run(db.updateTable('users').set(next).where('id', '=', user_id))
      return userOf({ ...row, ...next })
    })
  }

  delete(actor: Actor, user_id: string): Promise<User | null> {
    return this.#database.write(async (tx) => {
      const row = await rowOfUser(tx, actor, user_id)
      if (!row) return null
      const now = new Date().toISOString()
      await tx.run(db.updateTable('users').set({ deleted_at: now }).where('id', '=', user_id))
      await tx.run(
        db
          .updateTable('api_keys')
          .set({ revoked_at: now })
          .where('user_id', '=', user_id)
          .where('revoked_at', 'is', null),
      )
      return userOf({ ...row, deleted_at: now })
    })
  }

  createKey(actor: Actor, key: ApiKey, hash: Uint8Array): Promise<ApiKey> {
    return this.#database.write(async (tx) => {
      if (!(await rowOfUser(tx, actor, key.user_id)))
        throw new AppError('not_found', `User ${key.user_id} not found`)
      await tx.run(db.insertInto('api_keys').values({ ...key, hash }))
      return key
    })
  }

  listKeys(actor: Actor, user_id: string): Promise<ApiKey[]> {
    return this.#database.read(async (c) =>
      (
        await c.all(
          db
            .selectFrom('api_keys')
            .selectAll()
            .where('organization_id', '=', actor.organization_id)
            .where('user_id', '=', user_id)
            .orderBy('created_at')
            .orderBy('id'),
        )
      ).map(keyOf),
    )
  }

  revokeKey(actor: Actor, key_id: string, { anywhere = false, once = false } = {}): Promise<ApiKey | null> {
    return this.#database.write(async (tx) => {
      const row = await tx.get(db.selectFrom('api_keys').selectAll().where('id', '=', key_id))
      if (!row || (!anywhere && row.organization_id !== actor.organization_id)) return null
      if (once && row.revoked_at !== null)
        throw new AppError(
          'conflict',
          `key ${key_id} was revoked at ${row.revoked_at} and stays so: make a new key of user ${row.user_id} instead`,
        )
      const revoked_at = row.revoked_at ?? new Date().toISOString()
      await tx.run(db.updateTable('api_keys').set({ revoked_at }).where('id', '=', key_id))
      return keyOf({ ...row, revoked_at })
    })
  }

  async holder(hash: Uint8Array): Promise<KeyHolder | null> {
    const found = await this.#database.read(async (c) => {
      const key = await keyByHash.get(c, { hash })
      const user = key && (await userById.get(c, { id: key.user_id }))
      return key && user ? { key: keyOf(key), user: userOf(user) } : null
    })
    if (!found) return null
    const now = this.#database.now().getTime()
    const { expires_at, last_used_at } = found.key
    if (expires_at !== null && Date.parse(expires_at) <= now) return null
    if (last_used_at !== null && now - Date.parse(last_used_at) < USE_NOTED_EVERY_MS) return found
    const used = { last_used_at: new Date(now).toISOString() }
    await this.#database.write(
      async (tx) => await tx.run(db.updateTable('api_keys').set(used).where('id', '=', found.key.id)),
    )
    return { ...found, key: { ...found.key, ...used } }
  }

  countRequest(user_id: string, hour: number): Promise<number> {
    return this.#database.write(async (tx) => {
      const [row] = await tx.all(
        db
          .insertInto('request_counts')
          .values({ user_id, hour, count: 1 })
          .onConflict((on) =>
            on.columns(['user_id', 'hour']).doUpdateSet({ count: sql`request_counts.count + 1` }),
          )
          .returning('count'),
      )
      const count = row?.count ?? 1
      if (count === 1) await tx.run(db.deleteFrom('request_counts').where('hour', '<', hour - KEEP_COUNTS))
      return count
    })
  }

  async #organization(c: Connection, id: string): Promise<OrganizationRow | undefined> {
    if (id === DEFAULT_ORGANIZATION_ID) return this.#ownOrganization()
    return await c.get(db.selectFrom('organizations').selectAll().where('id', '=', id))
  }

  /** Throws `conflict` for the name of another organisation. */
  async #refuseOrganization(c: Connection, name: string, but?: string): Promise<void> {
    const named = db.selectFrom('organizations').select('id').where('name', '=', name)
    const others = [
      ...(name === this.#ownOrganization().name ? [DEFAULT_ORGANIZATION_ID] : []),
      ...(await c.all(named)).map(({ id }) => id),
    ].filter((id) => id !== but)
    if (others.length > 0)
      throw new AppError(
        'conflict',
        `an organisation '${name}' is there already (${others.join(', ')}), and a user without one gets one of their name: choose another name, or name that one as the user's organization_id (\`loci users add NAME --organization ${others[0]}\`)`,
      )
  }

  #ownOrganization(): OrganizationRow {
    return { id: DEFAULT_ORGANIZATION_ID, name: 'default', created_at: MADE }
  }

  /** Rows of users refer to their organisation's. */
  async #keepDefault(tx: Transaction): Promise<void> {
    await tx.run(
      db
        .insertInto('organizations')
        .values(this.#ownOrganization())
        .onConflict((on) => on.doNothing()),
    )
  }
}

/** A user of any organisation; deleted ones are none. */
export async function livingUser(c: Connection, user_id: string): Promise<User | null> {
  if (user_id === DEFAULT_USER_ID) return ownUser()
  const row = await userById.get(c, { id: user_id })
  return row ? userOf(row) : null
}

function ownUser(): User {
  return {
    id: DEFAULT_USER_ID,
    organization_id: DEFAULT_ORGANIZATION_ID,
    name: 'default',
    role: 'admin',
    limits: {},
    created_at: MADE,
    updated_at: MADE,
    is_deleted: false,
  }
}

/** Throws `conflict` for the name of a user of this organisation. */
async function refuseName(c: Connection, organization_id: string, name: string): Promise<void> {
  const own = organization_id === DEFAULT_ORGANIZATION_ID ? [ownUser()] : []
  const other = [...own, ...(await livingUsers(c, organization_id))].find((user) => user.name === name)
  if (other)
    throw new AppError(
      'conflict',
      `this organisation has a user '${name}' already (${other.id}): choose another name, or use that one`,
    )
}

async function livingUsers(c: Connection, org?: string): Promise<UserRow[]> {
  const living = db.selectFrom('users').selectAll().where('deleted_at', 'is', null)
  return await c.all(org === undefined ? living : living.where('organization_id', '=', org))
}

async function rowOfUser(c: Connection, actor: Actor, user_id: string): Promise<UserRow | undefined> {
  const row = await userById.get(c, { id: user_id })
  return row?.organization_id === actor.organization_id ? row : undefined
}

/** These lists are short: they are sorted and cut here. */
function pageOf<T extends { id: string; created_at: string }>(all: readonly T[], page: Page): T[] {
  const unique = [...new Map(all.map((one) => [one.id, one])).values()]
  const key = ({ created_at, id }: T) => `${created_at} ${id}`
  const sorted = unique.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
  const list = page.order === 'asc' ? sorted : sorted.toReversed()
  const place = (id: string) => {
    const at = list.findIndex((one) => one.id === id)
    if (at < 0) throw unknownCursor(id)
    return at
  }
  const from = page.after === undefined ? 0 : place(page.after) + 1
  const to = page.before === undefined ? list.length : place(page.before)
  const window = list.slice(from, to)
  return page.after === undefined && page.before !== undefined
    ? window.slice(-page.limit)
    : window.slice(0, page.limit)
}

function organizationOf({ id, name, created_at }: OrganizationRow): Organization {
  return { id, name, created_at, privileged_tools: false }
}

function userOf(row: UserRow): User {
  const { id, organization_id, name, created_at, updated_at } = row
  return {
    id,
    organization_id,
    name,
    role: row.role as Role,
    limits: JSON.parse(row.limits) as User['limits'],
    created_at,
    updated_at,
    is_deleted: row.deleted_at !== null,
  }
}

function keyOf(row: ApiKeyRow): ApiKey {
  const { id, user_id, organization_id, name, starts_with, created_at } = row
  const { expires_at, last_used_at, revoked_at } = row
  return {
    id,
    user_id,
    organization_id,
    name,
    starts_with,
    created_at,
    expires_at,
    last_used_at,
    revoked_at,
  }
}

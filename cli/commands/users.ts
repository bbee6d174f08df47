import type { LociClient } from '../../shared/client/http.ts'
import { DEFAULT_ORGANIZATION_ID, isId } from '../../shared/schema/ids.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import {
  apiKey,
  newApiKey,
  organization,
  role as roleSchema,
  ROLES,
  user as userSchema,
  type User,
} from '../../shared/schema/user.ts'
import { confirm } from '../confirm.ts'
import { Failure } from '../failure.ts'
import { note, print, printJson, printTable } from '../print.ts'
import { plain } from '../terminal.ts'
import { type Place, withClient } from '../with-client.ts'

export interface ListOptions extends Place {
  json?: boolean
}

/** `loci users add`: prints the id of the new user. */
export async function runAddUser(name: string, options: Record<string, string> & ListOptions): Promise<void> {
  const { role: wanted, requestsPerHour, agents } = options
  const parsed = roleSchema.safeParse(wanted ?? 'member')
  if (!parsed.success)
    throw new Failure(`There is no role '${wanted}'; a user is one of ${ROLES.join(', ')}.`)
  const limits = {
    ...(requestsPerHour === undefined
      ? {}
      : { requests_per_hour: limitOf('--requests-per-hour', requestsPerHour) }),
    ...(agents === undefined ? {} : { agents: limitOf('--agents', agents) }),
  }
  await withClient(options, async (client) => {
    const organization_id =
      options['organization'] === undefined
        ? undefined
        : await organizationOf(client, options['organization'])
    const made = await client.letta.post('/v1/admin/users', {
      body: { name, organization_id, role: wanted === undefined ? undefined : parsed.data, limits },
    })
    const user = userSchema.parse(made)
    if (options.json) return printJson(user)
    const users = await allUsers(client)
    print(`${plain(user.name)}\t${user.role}\t${user.organization_id}\t${user.id}`)
    note(`Next, make a key: loci keys create ${argumentOf(user, users)}`)
  })
}

/** `loci users list`. */
export async function runListUsers(options: ListOptions): Promise<void> {
  await withClient(options, async (client) => {
    const users = await allUsers(client)
    if (options.json) return printJson(users)
    const names = new Map((await organizations(client)).map(({ id, name }) => [id, name]))
    printTable(
      [
        { title: 'NAME', flexible: true },
        { title: 'ROLE' },
        { title: 'ORGANISATION', flexible: true },
        { title: 'ID' },
      ],
      users.map(({ id, name, role, organization_id }) => [
        name,
        role,
        names.get(organization_id) ?? organization_id,
        id,
      ]),
    )
    if (users.length === 1) note('Nobody but you uses this server. Let somebody in with: loci users add NAME')
  })
}

/** `loci users remove`. */
export async function runRemoveUser(named: string, options: ListOptions & { yes?: boolean }): Promise<void> {
  await withClient(options, async (client) => {
    const { id, name } = await userOf(client, named)
    await confirm(`Delete the user ${name} (${id}) and revoke their keys? Their agents stay.`, options)
    await client.letta.delete(`/v1/admin/users/${id}`)
    if (options.json) return printJson({ deleted: id })
    note(`${name} is deleted; requests with their keys are refused from now on.`)
  })
}

/** `loci keys create`: the key alone on stdout, so that it can be piped. */
export async function runCreateKey(
  named: string,
  options: ListOptions & { name?: string; days?: string },
): Promise<void> {
  const days = options.days === undefined ? null : Number(options.days)
  if (days !== null && !(days > 0 && days <= 36_500))
    throw new Failure(`--days takes a number of days above 0, not '${options.days}'.`)
  const expires_at = days === null ? undefined : new Date(Date.now() + days * 86_400_000).toISOString()
  await withClient(options, async (client) => {
    const { id, name } = await userOf(client, named)
    const made = await client.letta.post(`/v1/admin/users/${id}/keys`, {
      body: { name: options.name, expires_at },
    })
    const key = newApiKey.parse(made)
    if (options.json) return printJson(key)
    print(key.key)
    note(`${key.id} of ${name}. It is shown this once: keep it where only ${name} can read it.`)
  })
}

/** `loci keys list`. */
export async function runListKeys(named: string, options: ListOptions): Promise<void> {
  await withClient(options, async (client) => {
    const { id, name } = await userOf(client, named)
    const keys = apiKey.array().parse(await client.letta.get(`/v1/admin/users/${id}/keys`))
    if (options.json) return printJson(keys)
    printTable(
      [
        { title: 'BEGINS' },
        { title: 'NAME', flexible: true },
        { title: 'STATE', flexible: true },
        { title: 'ID' },
        { title: 'UNTIL' },
      ],
      keys.map((key) => [
        `${key.starts_with}…`,
        key.name,
        stateOf(key),
        key.id,
        key.expires_at === null ? '' : `until ${key.expires_at}`,
      ]),
    )
    if (keys.length === 0) note(`${name} has no keys. Make one with: loci keys create ${named}`)
  })
}

function stateOf({
  revoked_at,
  last_used_at,
}: {
  revoked_at: string | null
  last_used_at: string | null
}): string {
  if (revoked_at !== null) return `revoked ${revoked_at}`
  return last_used_at === null ? 'never used' : `used ${last_used_at}`
}

/** `loci keys revoke` and `loci keys rotate`. */
export async function runEndKey(
  how: 'revoke' | 'rotate',
  key_id: string,
  options: ListOptions,
): Promise<void> {
  if (!isId('api_key', key_id))
    throw new Failure(`'${key_id}' is no id of a key; loci keys list USER shows them (api_key-…).`)
  await withClient(options, async (client) => {
    if (how === 'revoke') {
      await client.letta.delete(`/v1/admin/keys/${key_id}`)
      if (options.json) return printJson({ revoked: key_id })
      return note(`${key_id} is refused from now on.`)
    }
    const made = newApiKey.parse(await client.letta.post(`/v1/admin/keys/${key_id}/rotate`))
    if (options.json) return printJson(made)
    print(made.key)
    note(`${made.id} in the place of ${key_id}, which is refused from now on. It is shown this once.`)
  })
}

async function allUsers(client: LociClient): Promise<User[]> {
  const users: User[] = []
  for (let after: string | undefined; ;) {
    const query = { limit: 500, ...(after === undefined ? {} : { after }) }
    const page = userSchema.array().parse(await client.letta.get('/v1/admin/users', { query }))
    users.push(...page)
    after = page.at(-1)?.id
    if (page.length < 500) return users
  }
}

/** How a command names a user: the name where only one has it and a shell takes it as it is, else the id. */
function argumentOf({ id, name }: User, users: readonly User[]): string {
  const isPlain = /^\w[\w.@-]*$/.test(name)
  return isPlain && users.filter((user) => user.name === name).length === 1 ? name : id
}

/** By id, or by a name that only one has. */
async function userOf(client: LociClient, named: string): Promise<User> {
  const users = await allUsers(client)
  const byId = users.filter(({ id }) => id === named)
  const found = byId.length > 0 ? byId : users.filter(({ name }) => name === named)
  const [user] = found
  if (user && found.length === 1) return user
  const names = users.map(({ name }) => name)
  throw new Failure(
    user
      ? `${found.length} users have the name '${named}'; give an id: ${found.map(({ id, organization_id }) => `${id} (of ${organization_id})`).join(', ')}`
      : `There is no user '${named}'. ${didYouMean(named, names, '')}`,
  )
}

async function organizations(client: LociClient) {
  return organization.array().parse(await client.letta.get('/v1/admin/orgs', { query: { limit: 1000 } }))
}

async function organizationOf(client: LociClient, named: string): Promise<string> {
  if (named === 'default') return DEFAULT_ORGANIZATION_ID
  const all = await organizations(client)
  const byId = all.filter(({ id }) => id === named)
  const found = byId.length > 0 ? byId : all.filter(({ name }) => name === named)
  if (found.length > 1)
    throw new Failure(
      `${found.length} organisations have the name '${named}'; give an id: ${found.map(({ id }) => id).join(', ')}`,
    )
  if (found[0]) return found[0].id
  if (isId('org', named)) throw new Failure(`There is no organisation ${named}.`)
  return organization.parse(await client.letta.post('/v1/admin/orgs', { body: { name: named } })).id
}

function limitOf(option: string, text: string): number | null {
  if (text === 'none') return null
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1) return value
  throw new Failure(`${option} takes a whole number above 0, or 'none', not '${text}'.`)
}

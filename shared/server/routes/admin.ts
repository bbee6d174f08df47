import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { AppError } from '../../schema/errors.ts'
import { DEFAULT_USER_ID, idSchema, newId } from '../../schema/ids.ts'
import { closedObject } from '../../schema/closed.ts'
import { pageQuery } from '../../schema/page.ts'
import { retentionReport } from '../../schema/retention.ts'
import {
  apiKey,
  createKey,
  createOrganization,
  createUser,
  newApiKey,
  organization,
  updateNamedUser,
  updateOrganization,
  updateUser,
  user,
  type ApiKey,
  type CreateKey,
  type Organization,
  type User,
} from '../../schema/user.ts'
import { type Access, demand, newKey } from '../access.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { applyRetention, planRetention } from '../retention.ts'
import { route } from '../route.ts'

/** Organisations are for the owner; users and keys also for the admins of their organisation. */
const OWNER = { demands: 'owner' } as const
const ADMIN = { demands: 'admin' } as const

const page = z.object(pageQuery({ limit: 50, order: 'asc' }))
const oneOrganization = z.object({ org_id: idSchema('org') })
const oneUser = z.object({ user_id: idSchema('user') })
const oneKey = z.object({ key_id: idSchema('api_key') })

/** Users of whichever organisation for the owner, of their own for an admin; others are not found. */
async function userOf(context: ServerContext, access: Access, user_id: string): Promise<User> {
  const { users } = context.deps.store
  const found = access.role === 'owner' ? await users.find(user_id) : await users.get(access.actor, user_id)
  if (!found) throw notFound('User', user_id)
  return found
}

/** The owner acts in the organisation of the user whom it is about. */
function actorFor({ actor }: Access, { organization_id }: User): Actor {
  return { ...actor, organization_id }
}

function refuseDefault(user_id: string): void {
  if (user_id === DEFAULT_USER_ID)
    throw new AppError(
      'invalid_argument',
      "the default user is the server's owner, who has the server's own key: it has no keys here, and stays as it is",
    )
}

async function makeUser(
  context: ServerContext,
  access: Access,
  body: z.infer<typeof createUser>,
): Promise<User> {
  const { users, tools } = context.deps.store
  const created_at = context.deps.clock.now().toISOString()
  const own = access.actor.organization_id
  const wanted = body.organization_id ?? (access.role === 'owner' ? null : own)
  if (wanted !== null && wanted !== own) demand(access, 'owner', 'Making a user of another organisation')
  const organization_id = wanted ?? (await makeOrganization(context, body.name)).id
  const actor = { user_id: access.actor.user_id, organization_id }
  const made: User = {
    id: newId('user'),
    organization_id,
    name: body.name,
    // Whoever is alone in an organisation looks after it.
    role: body.role ?? (wanted === null ? 'admin' : 'member'),
    limits: ownLimits(access, body.limits ?? {}),
    created_at,
    updated_at: created_at,
    is_deleted: false,
  }
  const stored = await users.create(actor, made)
  await tools.seed(actor, context.deps.tools.builtins)
  return stored
}

async function makeOrganization(
  context: ServerContext,
  name: string | null | undefined,
): Promise<Organization> {
  const id = newId('org')
  const made = await context.deps.store.users.createOrganization({
    id,
    name: name ?? id,
    created_at: context.deps.clock.now().toISOString(),
    privileged_tools: false,
  })
  await context.deps.store.tools.seed(
    { user_id: DEFAULT_USER_ID, organization_id: id },
    context.deps.tools.builtins,
  )
  return made
}

/** Limits are the owner's to give. */
function ownLimits(access: Access, limits: User['limits']): User['limits'] {
  if (Object.keys(limits).length > 0) demand(access, 'owner', 'Setting the limits of a user')
  return limits
}

async function makeKey(context: ServerContext, access: Access, of: User, body: CreateKey) {
  refuseDefault(of.id)
  const expires_at = body.expires_at == null ? null : new Date(body.expires_at).toISOString()
  if (expires_at !== null && Date.parse(expires_at) <= context.deps.clock.now().getTime())
    throw new AppError(
      'invalid_argument',
      `expires_at: ${expires_at} has passed already; name a moment to come`,
    )
  const { text, hash, starts_with } = newKey()
  const key: ApiKey = {
    id: newId('api_key'),
    user_id: of.id,
    organization_id: of.organization_id,
    name: body.name ?? 'key',
    starts_with,
    created_at: context.deps.clock.now().toISOString(),
    expires_at,
    last_used_at: null,
    revoked_at: null,
  }
  return { ...(await context.deps.store.users.createKey(actorFor(access, of), key, hash)), key: text }
}

async function revokeKey(
  context: ServerContext,
  access: Access,
  key_id: string,
  how: { once?: boolean } = {},
): Promise<ApiKey> {
  const anywhere = access.role === 'owner'
  const revoked = await context.deps.store.users.revokeKey(access.actor, key_id, { ...how, anywhere })
  if (!revoked) throw notFound('API key', key_id)
  return revoked
}

async function changeUser(
  context: ServerContext,
  access: Access,
  user_id: string,
  body: z.infer<typeof updateUser>,
): Promise<User> {
  refuseDefault(user_id)
  const before = await userOf(context, access, user_id)
  if (body.limits) ownLimits(access, body.limits)
  const patch = {
    ...(body.name == null ? {} : { name: body.name }),
    ...(body.role == null ? {} : { role: body.role }),
    ...(body.limits ? { limits: body.limits } : {}),
  }
  const changed = await context.deps.store.users.update(actorFor(access, before), user_id, patch)
  if (!changed) throw notFound('User', user_id)
  return changed
}

async function deleteUser(context: ServerContext, access: Access, user_id: string): Promise<User> {
  refuseDefault(user_id)
  const before = await userOf(context, access, user_id)
  const deleted = await context.deps.store.users.delete(actorFor(access, before), user_id)
  if (!deleted) throw notFound('User', user_id)
  return deleted
}

/** A rule to try, beside those that are set. */
const tried = z.coerce.number().min(1).max(36_500).optional()

export const routes = [
  route({
    ...OWNER,
    method: 'GET',
    path: '/v1/admin/orgs',
    summary: 'List organisations',
    query: page,
    answer: z.array(organization),
    handle: ({ context, query }) => context.deps.store.users.listOrganizations(query),
  }),
  route({
    ...OWNER,
    method: 'POST',
    path: '/v1/admin/orgs',
    summary: 'Make an organisation, whose things nobody else sees',
    body: createOrganization,
    answer: organization,
    handle: ({ context, body }) => makeOrganization(context, body.name),
  }),
  route({
    ...OWNER,
    method: 'PATCH',
    path: '/v1/admin/orgs',
    summary: 'Rename an organisation',
    query: oneOrganization,
    body: updateOrganization,
    answer: organization,
    async handle({ context, query, body }) {
      const { users } = context.deps.store
      const { org_id } = query
      const changed =
        body.name == null
          ? await users.organization(org_id)
          : await users.renameOrganization(org_id, body.name)
      if (!changed) throw notFound('Organization', org_id)
      return changed
    },
  }),
  route({
    ...OWNER,
    method: 'DELETE',
    path: '/v1/admin/orgs',
    summary: 'Delete an organisation that has neither users nor agents any more',
    query: oneOrganization,
    answer: organization,
    async handle({ context, query: { org_id } }) {
      const { users } = context.deps.store
      const before = await users.organization(org_id)
      if (!before || !(await users.deleteOrganization(org_id))) throw notFound('Organization', org_id)
      return before
    },
  }),
  route({
    ...ADMIN,
    method: 'GET',
    path: '/v1/admin/users',
    summary: "List users: all of them for the server's owner, those of their organisation for an admin",
    query: page,
    answer: z.array(user),
    handle: ({ access, context, query }) =>
      access.role === 'owner'
        ? context.deps.store.users.listAll(query)
        : context.deps.store.users.list(access.actor, query),
  }),
  route({
    ...ADMIN,
    method: 'POST',
    path: '/v1/admin/users',
    summary: 'Make a user; without an organisation one gets an own one',
    body: createUser,
    answer: user,
    handle: ({ access, context, body }) => makeUser(context, access, body),
  }),
  route({
    ...ADMIN,
    method: 'PUT',
    path: '/v1/admin/users',
    summary: 'Change a user (as V1 spells it)',
    body: updateNamedUser,
    answer: user,
    handle: ({ access, context, body: { id, ...body } }) => changeUser(context, access, id, body),
  }),
  route({
    ...ADMIN,
    method: 'DELETE',
    path: '/v1/admin/users',
    summary: 'Delete a user (as V1 spells it)',
    query: oneUser,
    answer: user,
    handle: ({ access, context, query }) => deleteUser(context, access, query.user_id),
  }),
  route({
    ...ADMIN,
    method: 'GET',
    path: '/v1/admin/users/:user_id',
    summary: 'Read a user',
    params: oneUser,
    answer: user,
    handle: ({ access, context, params }) => userOf(context, access, params.user_id),
  }),
  route({
    ...ADMIN,
    method: 'PATCH',
    path: '/v1/admin/users/:user_id',
    summary: 'Change the name, role or limits of a user',
    params: oneUser,
    body: updateUser,
    answer: user,
    handle: ({ access, context, params, body }) => changeUser(context, access, params.user_id, body),
  }),
  route({
    ...ADMIN,
    method: 'DELETE',
    path: '/v1/admin/users/:user_id',
    summary: 'Delete a user and revoke their keys; what they made stays with the organisation',
    params: oneUser,
    answer: user,
    handle: ({ access, context, params }) => deleteUser(context, access, params.user_id),
  }),
  route({
    ...ADMIN,
    method: 'GET',
    path: '/v1/admin/users/:user_id/keys',
    summary: 'List the keys of a user, without their texts',
    params: oneUser,
    answer: z.array(apiKey),
    async handle({ access, context, params }) {
      const of = await userOf(context, access, params.user_id)
      return context.deps.store.users.listKeys(actorFor(access, of), of.id)
    },
  }),
  route({
    ...ADMIN,
    method: 'POST',
    path: '/v1/admin/users/:user_id/keys',
    summary: 'Make a key of a user; its text is in this answer and nowhere else',
    params: oneUser,
    body: createKey,
    optional_body: true,
    answer: newApiKey,
    async handle({ access, context, params, body }) {
      return makeKey(context, access, await userOf(context, access, params.user_id), body)
    },
  }),
  route({
    ...ADMIN,
    method: 'DELETE',
    path: '/v1/admin/keys/:key_id',
    summary: 'Revoke a key: from the next request on it is refused',
    params: oneKey,
    answer: apiKey,
    handle: ({ access, context, params }) => revokeKey(context, access, params.key_id),
  }),
  route({
    ...ADMIN,
    method: 'POST',
    path: '/v1/admin/keys/:key_id/rotate',
    summary: 'Make a key in the place of another, which is revoked',
    params: oneKey,
    answer: newApiKey,
    async handle({ access, context, params }) {
      const old = await revokeKey(context, access, params.key_id, { once: true })
      const of = await userOf(context, access, old.user_id)
      // The new one lasts as long as the old one was to last.
      const { name, expires_at, created_at } = old
      const lasts = expires_at === null ? null : Date.parse(expires_at) - Date.parse(created_at)
      const until = lasts === null ? null : new Date(context.deps.clock.now().getTime() + lasts).toISOString()
      return makeKey(context, access, of, { name, expires_at: until })
    },
  }),
  route({
    method: 'GET',
    path: '/v1/admin/retention',
    summary:
      'What the rules of retention would delete now; rules that are given are tried instead of those that are set',
    ...OWNER,
    query: closedObject({
      messages_days: tried,
      runs_days: tried,
      batches_days: tried,
      events_days: tried,
      usage_days: tried,
    }),
    answer: retentionReport,
    handle({ context, query }) {
      const { messages_days, runs_days, batches_days, events_days, usage_days } = query
      const { messages, runs, batches, events, usage } = context.retention
      const rules = {
        messages: messages_days ?? messages,
        runs: runs_days ?? runs,
        batches: batches_days ?? batches,
        events: events_days ?? events,
        usage: usage_days ?? usage,
      }
      return planRetention(context.deps.store.retention, rules, context.deps.clock.now())
    },
  }),
  route({
    method: 'POST',
    path: '/v1/admin/retention',
    summary: 'Delete now what the rules of retention say, instead of within the hour',
    ...OWNER,
    answer: retentionReport,
    handle: ({ context }) =>
      applyRetention(context.deps.store.retention, context.retention, context.deps.clock.now(), {
        signal: context.closing,
      }),
  }),
]

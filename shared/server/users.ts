import type { AccessTokenStore } from '../core/ports/access-token-store.ts'
import type { Store } from '../core/ports/store.ts'
import type { UserStore } from '../core/ports/user-store.ts'
import type { AccessRight } from '../schema/access-token.ts'
import { AppError } from '../schema/errors.ts'
import { DEFAULT_USER_ID } from '../schema/ids.ts'
import type { User, UserLimits } from '../schema/user.ts'
import { type Access, demand, hashOfKey, isToken, limitsOf, namedUserOf } from './access.ts'
import type { Serve } from './gate.ts'

const HOUR_MS = 3_600_000

/** Whom the key of a user or an access token stands for; null: it is none, revoked or expired. */
export async function holderOf(
  { users, access_tokens, now }: Pick<Store, 'users' | 'access_tokens' | 'now'>,
  key: string,
): Promise<Access | null> {
  if (isToken(key)) return tokenHolder(access_tokens, key, now())
  const found = await users.holder(hashOfKey(key))
  return found && accessOf(found.user, found.key.id)
}

/** A token acts as who made it, who may have lost a role since; it is no admin, and the owner's is a member. */
async function tokenHolder(tokens: AccessTokenStore, text: string, now: Date): Promise<Access | null> {
  const found = await tokens.holder(hashOfKey(text))
  if (!found || Date.parse(found.token.expires_at) <= now.getTime()) return null
  const { token, user } = found
  const agents = new Map<string, Set<AccessRight>>()
  for (const { id, access } of token.policy) agents.set(id, new Set([...(agents.get(id) ?? []), ...access]))
  const { actor, limits } = accessOf(user, token.id)
  return {
    actor,
    role: user.role === 'reader' ? 'reader' : 'member',
    key_id: token.id,
    limits: user.id === DEFAULT_USER_ID ? null : limits,
    scope: { origin: token.origin, agents },
  }
}

/**
 * What requests pass once it is known whose they are: V1's `user_id` header, for who may use it, and the limit of
 * requests in an hour, which is told in every answer. What is refused here is answered by `refuse`.
 */
export function forUsers(
  serve: Serve,
  options: {
    users: UserStore
    now: () => Date
    limits: () => UserLimits
    refuse: (request: Request, error: unknown) => Response
  },
): Serve {
  const { users, now, limits, refuse } = options
  return async (request, access) => {
    let acting: Access
    let counted: Record<string, string>
    try {
      acting = await actingFor(users, access, namedUserOf(request.headers))
      const held = limitsOf(acting, limits())
      if (held) acting = limitedBy(acting, held)
      counted = await count(users, acting, held?.requests_per_hour ?? null, now().getTime())
    } catch (error) {
      return refuse(request, error)
    }
    const answer = await serve(request, acting)
    for (const [name, value] of Object.entries(counted)) answer.headers.set(name, value)
    return answer
  }
}

function accessOf({ id, organization_id, role, limits }: User, key_id: string | null): Access {
  return { actor: { user_id: id, organization_id }, role, key_id, limits }
}

function limitedBy(access: Access, { agents, tools, ...more }: UserLimits): Access {
  return {
    ...access,
    actor: { ...access.actor, quota: { agents, tools } },
    limits: { agents, tools, ...more },
  }
}

/** The owner acts for anybody, an admin for the users of their organisation, everybody else for themselves. */
async function actingFor(users: UserStore, access: Access, named: string | null): Promise<Access> {
  if (named === null || named === access.actor.user_id) return access
  demand(access, 'admin', 'Acting for another user (the user_id header)')
  const user = access.role === 'owner' ? await users.find(named) : await users.get(access.actor, named)
  if (!user) throw new AppError('not_found', `User ${named} not found (the user_id header names it)`)
  return accessOf(user, access.key_id)
}

/** Counts the request; the headers that tell how many are left. Throws `rate_limited`. */
async function count(
  users: UserStore,
  { actor: { user_id } }: Access,
  limit: number | null,
  now: number,
): Promise<Record<string, string>> {
  if (limit === null) return {}
  const hour = Math.floor(now / HOUR_MS)
  const made = await users.countRequest(user_id, hour)
  const reset = Math.ceil(((hour + 1) * HOUR_MS - now) / 1000)
  const headers = {
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(Math.max(0, limit - made)),
    'ratelimit-reset': String(reset),
    'ratelimit-policy': `${limit};w=3600`,
  }
  if (made <= limit) return headers
  throw new AppError(
    'rate_limited',
    `this user has made the ${limit} requests that an hour allows; the next hour begins in ${reset} s`,
    { data: { retry_after_seconds: reset, headers } },
  )
}

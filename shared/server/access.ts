import { createHash, randomBytes } from 'node:crypto'
import type { Actor } from '../core/ports/actor.ts'
import type { AccessRight } from '../schema/access-token.ts'
import { AppError } from '../schema/errors.ts'
import { isId } from '../schema/ids.ts'
import type { Role, User, UserLimits } from '../schema/user.ts'
import { DEFAULT_ACTOR } from './context.ts'

/** Whom a request acts for, and what they may do. */
export interface Access {
  actor: Actor
  /** `owner`: who has the server's own key, or reaches a server without one. */
  role: 'owner' | Role
  /** The key that the request carries; null: the server's own, or none. */
  key_id: string | null
  /** What differs from the server's limits; null: no limits hold. */
  limits: User['limits'] | null
  /** Only this much of it, for pages of one host: the request carries an access token. */
  scope?: TokenScope
}

/** What an access token reaches. */
export interface TokenScope {
  /** Of which pages requests may come: `https://app.example.com`. */
  origin: string
  /** By an agent's id: what may be done with it. */
  agents: ReadonlyMap<string, ReadonlySet<AccessRight>>
}

/** What a tool's client may do: what a member may, in the organisation of who runs the tool. */
export function toolAccess(actor: Actor): Access {
  return { actor, role: 'member', key_id: null, limits: null }
}

/** What a route asks of who calls it; without it a member may change things and a reader look at them. */
export type Demand = 'reader' | 'member' | 'admin' | 'owner'

/** All that there is, without limits. */
export const OWNER: Access = { actor: DEFAULT_ACTOR, role: 'owner', key_id: null, limits: null }

const RANKS: Record<Demand, number> = { reader: 0, member: 1, admin: 2, owner: 3 }

/** Throws `forbidden` with what would be needed. */
export function demand(access: Access, wanted: Demand, what: string): void {
  if (RANKS[access.role] >= RANKS[wanted]) return
  const needs =
    wanted === 'owner'
      ? "the server's own key"
      : `a key of a user with the role '${wanted}'${wanted === 'member' ? " or 'admin'" : ''}`
  throw new AppError('forbidden', `${what} needs ${needs}; this key's user has the role '${access.role}'`)
}

/** How keys of users begin; what begins otherwise is never looked up. */
const PREFIX = 'loci_'

/** How access tokens of web pages begin. */
const TOKEN_PREFIX = 'locitoken_'

interface NewText {
  text: string
  hash: Uint8Array
  starts_with: string
}

/** A key that nobody has: its text, what is stored of it, and what is shown of it later. */
export function newKey(): NewText {
  return newText(PREFIX)
}

/** An access token that nobody has, in the same way. */
export function newToken(): NewText {
  return newText(TOKEN_PREFIX)
}

function newText(prefix: string): NewText {
  const text = prefix + randomBytes(32).toString('base64url')
  return { text, hash: hashOfKey(text), starts_with: text.slice(0, prefix.length + 6) }
}

/** Whether this is the text of an access token, and no key of a user. */
export function isToken(text: string): boolean {
  return text.startsWith(TOKEN_PREFIX)
}

/** 256 random bits need no salt, and no slow hash. */
export function hashOfKey(text: string): Uint8Array {
  return createHash('sha256').update(text).digest()
}

/** The headers that may carry a key, each in the form that its clients send; they count the same. */
export const KEY_HEADERS = [
  ['authorization', /^bearer +(.+)$/i],
  ['x-bare-password', /^password +(.+)$/],
  // The official TypeScript client of Anthropic's API.
  ['x-api-key', /^(.+)$/],
] as const

/** Every key that a request carries, of whichever kind. */
export function keysOf(headers: Headers): string[] {
  return KEY_HEADERS.flatMap(([name, form]) => form.exec(headers.get(name) ?? '')?.[1] ?? [])
}

/** The key of a user or the access token that a request carries, in any of `KEY_HEADERS`. */
export function userKeyOf(headers: Headers): string | null {
  return (
    keysOf(headers).find((text) => /^\S+$/.test(text) && (text.startsWith(PREFIX) || isToken(text))) ?? null
  )
}

/** The user that V1's `user_id` header names; null without one. Throws `invalid_argument` for what is no id. */
export function namedUserOf(headers: Headers): string | null {
  const given = headers.get('user_id')?.trim()
  if (!given) return null
  if (isId('user', given)) return given
  throw new AppError('invalid_argument', `the user_id header '${given.slice(0, 60)}' is no id of a user`)
}

/** The limits that hold for an access: the server's, but for what the user has of their own; null: none. */
export function limitsOf(access: Access, usual: UserLimits): UserLimits | null {
  if (!access.limits) return null
  const own = Object.entries(access.limits).filter(([, value]) => value !== undefined)
  return { ...usual, ...(Object.fromEntries(own) as Partial<Record<keyof UserLimits, number | null>>) }
}

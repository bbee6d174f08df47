import * as z from 'zod'
import { closedObject } from './closed.ts'
import { idSchema } from './ids.ts'

/** What a user may do in their organisation; the server's owner, who is no user of it, may do all of it everywhere. */
export const ROLES = ['admin', 'member', 'reader'] as const
export const role = z.enum(ROLES)
/** `admin`: also users and keys of the organisation. `member`: agents and all they have. `reader`: looks, changes nothing. */
export type Role = z.infer<typeof role>

/** Breaks of lines, other control characters and those that turn the direction of text: lists and hints show names. */
const NOT_IN_NAMES = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u

const name = z
  .string()
  .trim()
  .min(1, 'a name has at least one character')
  .max(200, 'a name has at most 200 characters')
  .refine((text) => !NOT_IN_NAMES.test(text), 'a name has no line breaks or other control characters')
const date = z.string()

/** An organisation: whose rows nobody else sees (V1 `Organization`). */
export const organization = z.object({
  id: idSchema('org'),
  name: z.string(),
  created_at: date,
  /** V1's; tools of an organisation have no privileges here. */
  privileged_tools: z.boolean(),
})
export type Organization = z.infer<typeof organization>

/** V1's; taken and ignored. */
const privileged_tools = z.boolean().nullish()

/** Body of `POST /v1/admin/orgs`. */
export const createOrganization = closedObject({ name: name.nullish(), privileged_tools })
/** Body of `PATCH /v1/admin/orgs`. */
export const updateOrganization = closedObject({ name: name.nullish(), privileged_tools })

/** What a user may use, each null for no limit. */
export const userLimits = z.object({
  /** Requests in an hour, by all keys of the user together. */
  requests_per_hour: z.number().int().min(1).nullable(),
  /** Agents of the user's organisation. */
  agents: z.number().int().min(0).nullable(),
  /** Tools of the user's organisation, without those that come with Loci. */
  tools: z.number().int().min(0).nullable(),
  /** Largest file, in megabytes of 1024 × 1024 bytes. */
  file_mb: z.number().min(0).nullable(),
})
export type UserLimits = z.infer<typeof userLimits>

/** A user (V1 `User`), with what they may do. */
export const user = z.object({
  id: idSchema('user'),
  organization_id: idSchema('org'),
  name: z.string(),
  role,
  /** What differs from the server's limits. */
  limits: userLimits.partial(),
  created_at: date,
  updated_at: date,
  is_deleted: z.boolean(),
})
export type User = z.infer<typeof user>

/** Limits as they are given; those that are absent are the server's, or stay as they are. */
const limits = closedObject(userLimits.partial().shape).nullish()

/** Body of `POST /v1/admin/users`. */
export const createUser = closedObject({
  name,
  /** Without one the user gets an organisation of their own, with their name. */
  organization_id: idSchema('org').nullish(),
  role: role.nullish(),
  limits,
})

/** Body of `PATCH /v1/admin/users/{id}`. */
export const updateUser = closedObject({
  name: name.nullish(),
  role: role.nullish(),
  limits,
})

/** Body of V1's `PUT /v1/admin/users`. */
export const updateNamedUser = closedObject({ ...updateUser.shape, id: idSchema('user') })

/** A key of a user, without its text, which is shown once and kept nowhere. */
export const apiKey = z.object({
  id: idSchema('api_key'),
  user_id: idSchema('user'),
  organization_id: idSchema('org'),
  name: z.string(),
  /** How its text begins, to tell keys apart. */
  starts_with: z.string(),
  created_at: date,
  /** Null: never. */
  expires_at: date.nullable(),
  /** To the minute; null: never yet. */
  last_used_at: date.nullable(),
  revoked_at: date.nullable(),
})
export type ApiKey = z.infer<typeof apiKey>

/** A key that has just been made. */
export const newApiKey = apiKey.extend({
  /** The text that requests carry: `Authorization: Bearer <key>`. It cannot be read again. */
  key: z.string(),
})

/** Body of `POST /v1/admin/users/{id}/keys`. */
export const createKey = closedObject({
  name: name.nullish(),
  /** Moment, with a time zone; absent: the key does not expire. */
  expires_at: z.iso
    .datetime({ offset: true, error: 'expected a moment like 2030-01-31T00:00:00Z' })
    .nullish(),
})
export type CreateKey = z.infer<typeof createKey>

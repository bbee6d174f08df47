import * as z from 'zod'
import { idSchema } from './ids.ts'
import { MAX_NAME } from './names.ts'
import { jsonObject } from './page.ts'

const identityType = z.enum(['org', 'user', 'other'])

/** A property's value is of the type that it names. */
const identityProperty = z.discriminatedUnion('type', [
  z.object({ key: z.string().min(1), value: z.string(), type: z.literal('string') }),
  z.object({ key: z.string().min(1), value: z.number(), type: z.literal('number') }),
  z.object({ key: z.string().min(1), value: z.boolean(), type: z.literal('boolean') }),
  z.object({ key: z.string().min(1), value: jsonObject, type: z.literal('json') }),
])

/** Properties of an identity; no key twice. */
export const identityProperties = z.array(identityProperty).superRefine((list, context) => {
  for (const [index, { key }] of list.entries()) {
    if (list.findIndex((other) => other.key === key) === index) continue
    context.addIssue({ code: 'custom', path: [index, 'key'], message: `the key '${key}' is there twice` })
  }
})

const key = z.string().min(1).max(MAX_NAME)
const name = z.string().min(1).max(MAX_NAME)

/** Body of `POST /v1/identities/`, and of `PUT`, which changes the identity that has this key. */
export const createIdentity = z.object({
  identifier_key: key,
  name,
  identity_type: identityType,
  project_id: z.string().nullish(),
  agent_ids: z.array(idSchema('agent')).nullish(),
  block_ids: z.array(idSchema('block')).nullish(),
  properties: identityProperties.nullish(),
})
export type CreateIdentity = z.infer<typeof createIdentity>

/** Body of `PATCH /v1/identities/{id}`: null or absent leaves a field as it is; agents, blocks and properties are added. */
export const updateIdentity = z.object({
  identifier_key: key.nullish(),
  name: name.nullish(),
  identity_type: identityType.nullish(),
  agent_ids: z.array(idSchema('agent')).nullish(),
  block_ids: z.array(idSchema('block')).nullish(),
  properties: identityProperties.nullish(),
})
export type UpdateIdentity = z.infer<typeof updateIdentity>

/** A person or organisation that agents and blocks belong to (V1 `Identity`). */
export const identity = z.object({
  id: idSchema('identity'),
  identifier_key: z.string(),
  name: z.string(),
  identity_type: identityType,
  project_id: z.string().nullable(),
  agent_ids: z.array(z.string()),
  block_ids: z.array(z.string()),
  properties: z.array(identityProperty),
})
export type Identity = z.infer<typeof identity>

/** Filters of `GET /v1/identities/`; `name` is a part of the name. */
export const identityQuery = {
  name: z.string().optional(),
  project_id: z.string().optional(),
  identifier_key: z.string().optional(),
  identity_type: identityType.optional(),
}

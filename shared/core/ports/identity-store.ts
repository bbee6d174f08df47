import type { CreateIdentity, Identity, UpdateIdentity } from '../../schema/identity.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'

export interface IdentityFilter {
  /** Substring, case-insensitive. */
  name?: string | undefined
  project_id?: string | undefined
  identifier_key?: string | undefined
  identity_type?: Identity['identity_type'] | undefined
}

/** Whom agents and blocks belong to. An `identifier_key` is unique in its project. */
export interface IdentityStore {
  /** Throws `conflict` when the key is taken, `not_found` for an unknown agent or block. */
  create(actor: Actor, identity: CreateIdentity): Promise<Identity>
  /** Creates it, or makes the identity with this key in this project what `identity` says. Errors as `create`. */
  upsert(actor: Actor, identity: CreateIdentity): Promise<Identity>
  get(actor: Actor, identity_id: string): Promise<Identity | null>
  list(actor: Actor, filter: IdentityFilter, page: Page): Promise<Identity[]>
  count(actor: Actor): Promise<number>
  /**
   * Changes what is given. Agents and blocks are added, properties by their key; with `replace` the lists take the place
   * of those before. Null when there is none; errors as `create`.
   */
  update(
    actor: Actor,
    identity_id: string,
    patch: UpdateIdentity,
    options?: { replace?: boolean },
  ): Promise<Identity | null>
  /** Its agents and blocks stay. False when there was none. */
  delete(actor: Actor, identity_id: string): Promise<boolean>
  /** Attaching twice is the same as once. Throws `not_found` for the agent or the identity. */
  attach(actor: Actor, identity_id: string, to: IdentityLink): Promise<void>
  detach(actor: Actor, identity_id: string, from: IdentityLink): Promise<void>
}

/** What belongs to an identity. */
export type IdentityLink = { agent_id: string } | { block_id: string }

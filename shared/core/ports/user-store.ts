import type { Page } from '../../schema/page.ts'
import type { ApiKey, Organization, User } from '../../schema/user.ts'
import type { Actor } from './actor.ts'

/** Whose key a request carries. */
export interface KeyHolder {
  key: ApiKey
  user: User
}

/**
 * Organisations, users and their keys. What concerns users and keys is of the actor's organisation, as everywhere; what
 * concerns organisations is for the owner of the server, who alone may act in any.
 */
export interface UserStore {
  /** The default organisation and its user are always there. Throws `conflict` for a name that another has. */
  createOrganization(organization: Organization): Promise<Organization>
  /** Oldest first. Throws `not_found` for a cursor that is none. */
  listOrganizations(page: Page): Promise<Organization[]>
  organization(organization_id: string): Promise<Organization | null>
  /** Throws `conflict` for a name that another has. */
  renameOrganization(organization_id: string, name: string): Promise<Organization | null>
  /** Throws `conflict` for one that has users or agents, and for the default one. */
  deleteOrganization(organization_id: string): Promise<boolean>

  /** Throws `not_found` for an organisation that is not there, `conflict` for a name that another of its users has. */
  create(actor: Actor, user: User): Promise<User>
  /** A user of any organisation, for the owner of the server; deleted ones are none. */
  find(user_id: string): Promise<User | null>
  get(actor: Actor, user_id: string): Promise<User | null>
  list(actor: Actor, page: Page): Promise<User[]>
  /** Users of all organisations, for the owner of the server. */
  listAll(page: Page): Promise<User[]>
  /** Throws `conflict` for a name that another user of the organisation has. */
  update(
    actor: Actor,
    user_id: string,
    patch: Partial<Pick<User, 'name' | 'role' | 'limits'>>,
  ): Promise<User | null>
  /** Revokes the user's keys too; what they made stays with their organisation. */
  delete(actor: Actor, user_id: string): Promise<User | null>

  /** `hash`: SHA-256 of the key's text, which is stored nowhere. Throws `not_found` for a user that is not there. */
  createKey(actor: Actor, key: ApiKey, hash: Uint8Array): Promise<ApiKey>
  /** Newest last, revoked ones too. */
  listKeys(actor: Actor, user_id: string): Promise<ApiKey[]>
  /**
   * Null for a key that is not there; one that is revoked already stays so, and with `once` throws `conflict`.
   * `anywhere`: of whichever organisation, for the owner of the server.
   */
  revokeKey(
    actor: Actor,
    key_id: string,
    how?: { anywhere?: boolean; once?: boolean },
  ): Promise<ApiKey | null>
  /**
   * Who holds the key with this hash; null when there is none, it is revoked or expired, or its user is deleted. That it
   * was used is noted to the minute.
   */
  holder(hash: Uint8Array): Promise<KeyHolder | null>

  /** Counts a request of a user in this hour (hours since 1970) and answers how many there were, in all processes. */
  countRequest(user_id: string, hour: number): Promise<number>
}

import type { AgentAccess } from '../../schema/access-token.ts'
import type { User } from '../../schema/user.ts'
import type { Actor } from './actor.ts'

/** A token for web pages as it is stored: its text is not. */
export interface StoredAccessToken {
  id: string
  organization_id: string
  /** Who made it: what is done with it is done as they. */
  user_id: string
  starts_with: string
  policy: AgentAccess[]
  /** As it was given. */
  hostname: string
  /** Scheme, host and port of it, as a browser says where a request comes from. */
  origin: string
  created_at: string
  expires_at: string
}

/** Tokens by which web pages reach some agents of an organisation. */
export interface AccessTokenStore {
  /**
   * `hash`: SHA-256 of the token's text. Tokens of the organisation that expired before `forget` are removed. Throws
   * `not_found` for an agent of the policy that is not there.
   */
  create(
    actor: Actor,
    token: Omit<StoredAccessToken, 'organization_id' | 'user_id'>,
    options: { hash: Uint8Array; forget: string },
  ): Promise<StoredAccessToken>
  /** Those that have not expired at `now`, newest first; with `agent_id` those that reach it. */
  list(
    actor: Actor,
    filter: { agent_id?: string | undefined; now: string },
    page: { offset: number; limit: number },
  ): Promise<StoredAccessToken[]>
  /**
   * Ends the token with this id or hash of its text at `now`: as one that has expired it is kept for a while, so that
   * its page can still read that it is refused. False when there is none that has not expired.
   */
  end(actor: Actor, by: { id: string } | { hash: Uint8Array }, now: string): Promise<boolean>
  /** The token with this hash and its maker, in whichever organisation; null when there is none, or its maker is deleted. */
  holder(hash: Uint8Array): Promise<{ token: StoredAccessToken; user: User } | null>
  /** Whether there is a token for pages of this origin that has not expired before `since`. */
  hasOrigin(origin: string, since: string): Promise<boolean>
}

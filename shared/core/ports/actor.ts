import { DEFAULT_ORGANIZATION_ID } from '../../schema/ids.ts'

/** Who acts. Every row belongs to an organisation and no query crosses it. */
export interface Actor {
  user_id: string
  organization_id: string
  /** How much the organisation may have, where who acts is limited; absent: any number. */
  quota?: Quota
}

/** How many of these an organisation may have; null: any number. */
export interface Quota {
  agents: number | null
  /** Besides those that come with Loci. */
  tools: number | null
}

/**
 * Whether who acts is of another organisation than the server's owner. Nothing of theirs reaches this machine: no
 * program is started for them, and no file is read or written.
 */
export function isGuest({ organization_id }: Actor): boolean {
  return organization_id !== DEFAULT_ORGANIZATION_ID
}

export interface Clock {
  now(): Date
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number
}

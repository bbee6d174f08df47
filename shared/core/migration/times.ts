import { instantOf } from '../../schema/time.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { Times } from '../ports/migration-store.ts'
import type { Raw } from './read.ts'

/** When a thing was made and changed at the other server; now, where that does not say it. */
export function timesOf({ clock }: Pick<CoreDeps, 'clock'>, raw: Raw): Times {
  const created_at = instantIn(raw['created_at']) ?? clock.now().toISOString()
  return { created_at, updated_at: instantIn(raw['updated_at']) ?? created_at }
}

/** The instant that a text means, in UTC; null for anything else. */
export function instantIn(value: unknown): string | null {
  return typeof value === 'string' ? instantOf(value, 'UTC') : null
}

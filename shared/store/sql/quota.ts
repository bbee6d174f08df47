import { AppError } from '../../schema/errors.ts'

/** Throws `quota_exceeded` when an organisation has as many of something as it may have. */
export function withinQuota(most: number, what: 'agents' | 'tools', count: number): void {
  if (count < most) return
  throw new AppError(
    'quota_exceeded',
    `your organisation has ${count} ${what} and may have ${most}: delete some, or ask for a higher limit`,
    { data: { limit: most, count } },
  )
}

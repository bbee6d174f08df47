import { AppError } from '../../schema/errors.ts'

/** A thing as the other server says it. */
export type Raw = Record<string, unknown>

/** A schema of zod, as far as it is used here. */
interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } }
}

/**
 * What a schema reads of a thing; fields and items of lists that it does not take are left out, each with a note. Throws
 * `invalid_argument` when the thing cannot be read without them.
 */
export function readLeniently<T>(schema: Schema<T>, raw: Raw, notes: string[]): T {
  const given: Raw = { ...raw }
  // Each time something is left out, so it ends.
  for (;;) {
    const result = schema.safeParse(given)
    if (result.success) return result.data
    let left = false
    const lists = new Map<string, Set<number>>()
    for (const { path, message } of result.error.issues) {
      const [key, index] = path
      if (typeof key !== 'string' || !(key in given)) continue
      left = true
      const list = given[key]
      if (typeof index === 'number' && Array.isArray(list)) {
        lists.set(key, (lists.get(key) ?? new Set()).add(index))
        notes.push(`'${key}' has an item that is not known here, left out (${message}).`)
        continue
      }
      delete given[key]
      notes.push(`'${key}' is not as expected here and was left out (${message}).`)
    }
    for (const [key, without] of lists)
      if (Array.isArray(given[key]))
        given[key] = (given[key] as unknown[]).filter((_item, i) => !without.has(i))
    if (left) continue
    const issue = result.error.issues[0]
    throw new AppError(
      'invalid_argument',
      `The old server's answer cannot be read: ${(issue?.path ?? []).join('.')}: ${issue?.message ?? ''}.`,
    )
  }
}

/** SHA-256 of a value's JSON with sorted keys; what is null or absent is the same. */
export async function hashOf(value: unknown): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(sorted(value))))
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined && inner !== null)
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]),
  )
}

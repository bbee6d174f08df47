/** A JSON object as a provider sent it. */
export type Json = Record<string, unknown>

/** The value where it is an object, else an empty one. */
export function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

/** The value where it is text, else none. */
export function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** The value as a number of tokens; null where it is none. */
export function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? Math.max(0, Math.trunc(value)) : null
}

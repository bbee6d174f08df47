import type { Raw } from '../../schema/agent-file.ts'

/**
 * How a file said something that Loci says otherwise, or does not say at all: for each such field what stood in the file
 * (absent: nothing) and what Loci made of it. As long as Loci still says the same, an export says what the file said.
 */
export type Kept = Record<string, { file?: unknown; live?: unknown }>

/** What is to be kept of an object of a file, next to how it would be exported now. `ids` are never kept. */
export function keep(file: Raw, live: Raw, ids: ReadonlySet<string>): Kept {
  const kept: Kept = {}
  for (const key of new Set([...Object.keys(file), ...Object.keys(live)])) {
    if (ids.has(key)) continue
    const inFile = Object.hasOwn(file, key)
    const inLive = Object.hasOwn(live, key)
    if (inFile === inLive && sameJson(file[key], live[key])) continue
    set(kept, key, { ...(inFile ? { file: file[key] } : {}), ...(inLive ? { live: live[key] } : {}) })
  }
  return kept
}

/** The object as its file said it, where Loci has not changed it since. */
export function restore(live: Raw, kept: Kept | undefined): Raw {
  if (!kept) return live
  const restored: Raw = { ...live }
  for (const [key, was] of Object.entries(kept)) {
    const inLive = Object.hasOwn(live, key)
    if (inLive !== Object.hasOwn(was, 'live') || !sameJson(live[key], was.live)) continue
    if (Object.hasOwn(was, 'file')) set(restored, key, was.file)
    else delete restored[key]
  }
  return restored
}

/** Whether two JSON values are the same, whatever the order of their keys. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, i) => sameJson(item, b[i]))
  const [one, other] = [a as Raw, b as Raw]
  const keys = Object.keys(one)
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && sameJson(one[key], other[key]))
  )
}

/** Also for a key like `__proto__`. */
function set(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true })
}

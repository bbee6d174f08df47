/**
 * Which conversation's turn waits for which other conversation, over all turns of a process. Two turns that wait for
 * each other would both wait until their limit; whoever comes last is told at once.
 */
export class Waits {
  readonly #targets = new Map<string, string[]>()

  /** Notes that `from` waits for `to`; returns what ends it. Null when `to` waits for `from`, directly or not. */
  begin(from: string, to: string): (() => void) | null {
    if (this.#reaches(to, from)) return null
    this.#targets.set(from, [...(this.#targets.get(from) ?? []), to])
    return () => {
      const left = [...(this.#targets.get(from) ?? [])]
      left.splice(left.indexOf(to), 1)
      if (left.length > 0) this.#targets.set(from, left)
      else this.#targets.delete(from)
    }
  }

  #reaches(from: string, to: string): boolean {
    const seen = new Set<string>()
    const open = [from]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (next === to) return true
      if (seen.has(next)) continue
      seen.add(next)
      open.push(...(this.#targets.get(next) ?? []))
    }
    return false
  }
}

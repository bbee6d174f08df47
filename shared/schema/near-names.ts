/** Up to three names that a person who wrote `wanted` may have meant, nearest first. */
export function nearNames(wanted: string, names: readonly string[]): string[] {
  const target = wanted.toLowerCase()
  return names
    .map((name) => ({ name, far: farness(target, name.toLowerCase()) }))
    .filter(({ far }) => far <= Math.max(1, Math.floor(target.length / 3)))
    .sort((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(({ name }) => name)
}

/** What to tell who named something that is not there: near names, else those there are. */
export function didYouMean(wanted: string, names: readonly string[], none: string): string {
  if (names.length === 0) return none
  const near = nearNames(wanted, names)
  if (near.length > 0) return `Did you mean ${near.map((name) => `'${name}'`).join(' or ')}?`
  const shown = names.slice(0, 10).map((name) => `'${name}'`)
  return `There ${names.length === 1 ? 'is' : 'are'}: ${shown.join(', ')}${names.length > 10 ? ', …' : ''}.`
}

/** Edits between two words, a swap of neighbours being one; a beginning that is the other word counts as one. */
function farness(a: string, b: string): number {
  if (a === b) return 0
  if (a.length > 1 && b.length > 1 && (a.startsWith(b) || b.startsWith(a))) return 1
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + (same ? 0 : 1))
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (before[j - 2] ?? best) + 1)
      row.push(best)
    }
    before = above
    above = row
  }
  return above[b.length] ?? 0
}

/**
 * The paths that have the letters of `query` in this order, best first: in the name before in the folder, in one piece
 * before in several, short before long. Without letters the first ones.
 */
export function matchFiles<T extends { path: string }>(
  files: readonly T[],
  query: string,
  limit: number,
): T[] {
  const wanted = query.trim().toLowerCase()
  if (wanted === '') return files.slice(0, limit)
  const found: { file: T; rank: number }[] = []
  for (const file of files) {
    const rank = rankOf(file.path.toLowerCase(), wanted)
    if (rank !== null) found.push({ file, rank })
  }
  // Sorting is stable: what was given first stays so among equals.
  return found
    .sort((a, b) => a.rank - b.rank || a.file.path.length - b.file.path.length)
    .slice(0, limit)
    .map(({ file }) => file)
}

function rankOf(path: string, wanted: string): number | null {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (name === wanted) return 0
  if (name.startsWith(wanted)) return 1
  if (name.includes(wanted)) return 2
  if (path.includes(wanted)) return 3
  if (hasInOrder(name, wanted)) return 4
  return hasInOrder(path, wanted) ? 5 : null
}

function hasInOrder(text: string, letters: string): boolean {
  let at = 0
  for (const letter of letters) {
    at = text.indexOf(letter, at) + 1
    if (at === 0) return false
  }
  return true
}

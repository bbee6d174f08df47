/** Dampens the first ranks in reciprocal rank fusion, as is usual. */
const RRF_K = 60

/** A text that a search found, and its places in what it was found by, from 1. */
export interface Fused<Key> {
  key: Key
  rrf_score: number
  fts_rank: number | null
  vector_rank: number | null
}

/** How many of each ranking are fused for so many results. */
export function depthFor(limit: number): number {
  return Math.max(50, limit * 2)
}

/**
 * Reciprocal rank fusion of two rankings, best first; of equals the one whose key is greater, which is newer.
 *
 * @param words What the ranking by words weighs, from 0 to 1: where the best of it has little of what was asked for
 *   (a common word of a question that is misspelt), its order says little.
 * @param unembedded Texts that have no vector yet: their place by words stands for the other one too, as not to be among
 *   the nearest says nothing of them.
 */
export function fuse<Key extends string | number>(
  fts: readonly Key[],
  vector: readonly Key[],
  limit: number,
  words = 1,
  unembedded: ReadonlySet<Key> = new Set(),
): Fused<Key>[] {
  const found = new Map<Key, Fused<Key>>()
  const add = (keys: readonly Key[], kind: 'fts_rank' | 'vector_rank', weight: number) => {
    for (const [i, key] of keys.entries()) {
      const one = found.get(key) ?? { key, rrf_score: 0, fts_rank: null, vector_rank: null }
      one[kind] = i + 1
      one.rrf_score += weight / (RRF_K + i + 1)
      found.set(key, one)
    }
  }
  add(fts, 'fts_rank', words)
  add(vector, 'vector_rank', 1)
  // What has all the words weighs less than 1 when it is long.
  const instead = Math.min(1, 2 * words)
  for (const one of found.values())
    if (one.fts_rank !== null && unembedded.has(one.key)) one.rrf_score += instead / (RRF_K + one.fts_rank)
  return [...found.values()]
    .sort((a, b) => b.rrf_score - a.rrf_score || (a.key < b.key ? 1 : -1))
    .slice(0, limit)
}

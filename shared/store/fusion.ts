/** Dampens the first ranks in reciprocal rank fusion, as is usual. */
const RRF_K = 60

/** A text that a search found, and its places in what it was found by, from 1. */
export interface Fused {
  seq: number
  rrf_score: number
  fts_rank: number | null
  vector_rank: number | null
}

/** How many of each ranking are fused for so many results. */
export function depthFor(limit: number): number {
  return Math.max(50, limit * 2)
}

/** Reciprocal rank fusion of two rankings, best first; of equals the newer first. */
export function fuse(fts: readonly number[], vector: readonly number[], limit: number): Fused[] {
  const found = new Map<number, Fused>()
  const add = (seqs: readonly number[], kind: 'fts_rank' | 'vector_rank') => {
    for (const [i, seq] of seqs.entries()) {
      const one = found.get(seq) ?? { seq, rrf_score: 0, fts_rank: null, vector_rank: null }
      one[kind] = i + 1
      one.rrf_score += 1 / (RRF_K + i + 1)
      found.set(seq, one)
    }
  }
  add(fts, 'fts_rank')
  add(vector, 'vector_rank')
  return [...found.values()].sort((a, b) => b.rrf_score - a.rrf_score || b.seq - a.seq).slice(0, limit)
}

/** Texts that one search looks at, all its terms together; see `perTerm`. */
const MOST = 4_000
/** BM25's usual constants: how fast repetition saturates, and how much a long text has to make up for. */
const K1 = 1.2
const B = 0.75

/** A text that has a term. */
export interface Match {
  seq: number
  /** In bytes, as it is stored. */
  length: number
}

/**
 * How many texts of each term a search looks at, the newest first: all of those that few texts have, so that a rare
 * word finds the oldest text, and so many of a word that is everywhere.
 */
export function perTerm(terms: number): number {
  return Math.max(100, Math.floor(MOST / Math.max(terms, 1)))
}

/**
 * The places of the texts that fit best, best first and the newer first of equals, by BM25 with each term counted once a
 * text. SQLite's own `bm25()` reads every text of every owner that has one of the words, to learn how rare they are.
 *
 * @param found For each term what the owner has of it, at most `perTerm`.
 * @param total Texts of the owner.
 */
export function bestMatches(found: readonly (readonly Match[])[], total: number, limit: number): number[] {
  return rankMatches(found, total, limit).seqs
}

/** Texts best first, and how much of what was asked for the best of them has, from 0 to 1: rare words count for more. */
export interface Ranked {
  seqs: number[]
  coverage: number
}

/** As `bestMatches`, with how well the best one fits. */
export function rankMatches(found: readonly (readonly Match[])[], total: number, limit: number): Ranked {
  const lengths = new Map<number, number>()
  for (const matches of found) for (const { seq, length } of matches) lengths.set(seq, length)
  let sum = 0
  for (const length of lengths.values()) sum += length
  const mean = sum / Math.max(lengths.size, 1) || 1
  const scores = new Map<number, number>()
  let whole = 0
  for (const matches of found) {
    const rest = Math.max(total - matches.length, 0)
    const rarity = Math.log(1 + (rest + 0.5) / (matches.length + 0.5))
    whole += rarity
    for (const { seq, length } of matches) {
      const weight = (rarity * (K1 + 1)) / (1 + K1 * (1 - B + (B * length) / mean))
      scores.set(seq, (scores.get(seq) ?? 0) + weight)
    }
  }
  const ranked = [...scores].sort(([a, x], [b, y]) => y - x || b - a).slice(0, limit)
  const best = ranked[0]?.[1] ?? 0
  return { seqs: ranked.map(([seq]) => seq), coverage: whole === 0 ? 0 : Math.min(1, best / whole) }
}

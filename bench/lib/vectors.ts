import { unit } from '../../shared/store/vector-math.ts'

/** Numbers in a vector, as those of the commonest hosted model. */
export const DIM = 1536
/** Subjects that the made-up texts are about: vectors of one subject are near each other, as in real text. */
const SUBJECTS = 400

/**
 * The vector of the text of this number; the same number gives the same vector. It is that of its subject, changed by
 * as much noise as there is of it, and `more` noise of its own for a question about it.
 */
export function madeUpVector(index: number, more = 0): Float32Array {
  const vector = noise(1_000_003 + (index % SUBJECTS))
  add(vector, noise(index), 1)
  if (more > 0) add(vector, noise(7_000_003 + index), more)
  return unit(vector)
}

/** Keeps the `count` numbers with the highest scores. */
export class Best {
  readonly #count: number
  #items: { index: number; score: number }[] = []

  constructor(count: number) {
    this.#count = count
  }

  add(index: number, score: number): void {
    if (this.#items.length >= this.#count && score <= (this.#items.at(-1)?.score ?? 0)) return
    this.#items.push({ index, score })
    this.#items.sort((a, b) => b.score - a.score)
    this.#items.length = Math.min(this.#items.length, this.#count)
  }

  get indexes(): number[] {
    return this.#items.map(({ index }) => index)
  }
}

function add(to: Float32Array, other: Float32Array, share: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += share * other[i]!
}

/** Evenly distributed from -1 to 1. */
function noise(seed: number, dim = DIM): Float32Array {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  return new Float32Array(dim).map(() => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state / 2 ** 31
  })
}

/** Directions in which the texts of one subject differ: embeddings of real text have some tens of them, too. */
const INNER = 24

/**
 * Vectors of any length for very many texts: of 400 subjects, whose texts differ in 24 directions and by a little noise.
 * The same number gives the same vector; a question about a text is nearer to it the smaller `away` is. In evenly spread
 * noise all texts of a subject would be as good as equally far, which no index has to deal with in real text.
 */
export function subjectVectors(dim: number): (index: number, away?: number) => Float32Array {
  const subjects = Array.from({ length: SUBJECTS }, (_, i) => noise(1_000_003 + i, dim))
  const inner = Array.from({ length: 8 * INNER }, (_, i) => noise(3_000_017 + i, dim))
  return (index, away = 0) => {
    const subject = index % SUBJECTS
    const place = noise(index, INNER)
    if (away > 0) add(place, noise(7_000_003 + index, INNER), away)
    const vector = noise(5_000_011 + index, dim).map((x) => x * 0.1)
    add(vector, subjects[subject]!, 1)
    for (let k = 0; k < INNER; k++) add(vector, inner[(subject % 8) * INNER + k]!, 0.4 * place[k]!)
    return unit(vector)
  }
}

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
  let sum = 0
  for (const x of vector) sum += x * x
  const length = Math.sqrt(sum)
  return vector.map((x) => x / length)
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
function noise(seed: number): Float32Array {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  return new Float32Array(DIM).map(() => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state / 2 ** 31
  })
}

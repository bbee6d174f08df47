/** Which rows of a long list are drawn, and how much room those before and after them take. In CSS pixels. */
export interface RowRange {
  /** The first row that is drawn, and the first after it that is not. */
  start: number
  end: number
  before: number
  after: number
}

/** Rows are drawn this far above and below what is seen. */
const OVERSCAN = 900

/** Heights of rows: measured ones, and a guess for the others that follows those measured so far. */
export class RowHeights {
  readonly #known = new Map<string, number>()
  #sum = 0

  /** By how much the row is higher than was assumed of it. */
  set(key: string, height: number): number {
    const old = this.#known.get(key)
    if (old === height) return 0
    const assumed = old ?? this.guess
    this.#sum += height - (old ?? 0)
    this.#known.set(key, height)
    return height - assumed
  }

  /** Whether it was measured. */
  has(key: string): boolean {
    return this.#known.has(key)
  }

  of(key: string): number {
    return this.#known.get(key) ?? this.guess
  }

  /** Of a row that was never drawn. */
  get guess(): number {
    return this.#known.size < 5 ? 80 : Math.max(20, this.#sum / this.#known.size)
  }

  /** Widths have changed: what was measured is a guess again. */
  clear(): void {
    this.#known.clear()
    this.#sum = 0
  }
}

/** The rows to draw where `top` is the first pixel that is seen, of `height` pixels. */
export function rangeOf(
  keys: readonly string[],
  heights: RowHeights,
  { top, height }: { top: number; height: number },
): RowRange {
  const guess = heights.guess
  let at = 0
  let start = 0
  let before = 0
  let end = keys.length
  let after = 0
  let begun = false
  for (let i = 0; i < keys.length; i++) {
    const next = at + (heights.of(keys[i] ?? '') || guess)
    if (!begun && next >= top - OVERSCAN) {
      begun = true
      start = i
      before = at
    }
    if (begun && end === keys.length && at > top + height + OVERSCAN) {
      end = i
      after = -at
    }
    at = next
  }
  // Beyond the end: the last rows.
  if (!begun) return lastRows(keys, heights, height)
  return { start, end, before, after: end === keys.length ? 0 : at + after }
}

/** The rows to draw where the end is seen. */
export function lastRows(keys: readonly string[], heights: RowHeights, height: number): RowRange {
  let start = keys.length
  let room = 0
  while (start > 0 && room < height + OVERSCAN) room += heights.of(keys[--start] ?? '')
  let before = 0
  for (let i = 0; i < start; i++) before += heights.of(keys[i] ?? '')
  return { start, end: keys.length, before, after: 0 }
}

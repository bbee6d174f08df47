/** The value below which this share (0 to 1) of the numbers lies, by nearest rank; NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? NaN
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Milliseconds that `work` takes, `times` times over. */
export async function sample(times: number, work: (index: number) => Promise<unknown>): Promise<number[]> {
  const values: number[] = []
  for (let i = 0; i < times; i++) {
    const from = performance.now()
    await work(i)
    values.push(performance.now() - from)
  }
  return values
}

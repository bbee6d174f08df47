/**
 * What arrays do, for callbacks that ask the store: one item after the other, as the statements of one transaction share
 * one connection, and nothing goes on after the first that fails.
 */

/** `map`, in order. */
export async function mapEach<T, U>(
  items: Iterable<T>,
  work: (item: T, index: number) => Promise<U>,
): Promise<U[]> {
  const results: U[] = []
  // oxlint-disable-next-line no-await-in-loop -- in order is what it is for
  for (const item of items) results.push(await work(item, results.length))
  return results
}

/** `flatMap`, in order. */
export async function flatMapEach<T, U>(
  items: Iterable<T>,
  work: (item: T, index: number) => Promise<U | readonly U[]>,
): Promise<U[]> {
  return (await mapEach(items, work)).flat() as U[]
}

/** `filter`, in order. */
export async function filterEach<T>(items: Iterable<T>, test: (item: T) => Promise<boolean>): Promise<T[]> {
  const kept: T[] = []
  for (const item of items) if (await test(item)) kept.push(item)
  return kept
}

/** `find`: the first one that passes, and no later one is asked. */
export async function findEach<T>(
  items: Iterable<T>,
  test: (item: T) => Promise<boolean>,
): Promise<T | undefined> {
  for (const item of items) if (await test(item)) return item
  return undefined
}

/**
 * What arrays do, for callbacks that ask the store: one item after the other, as the statements of one transaction share
 * one connection, and nothing goes on after the first that fails. `mapTogether` is for reads alone.
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

/** How many items are asked about at once; a statement of SQLite is done when it is asked. */
const TOGETHER = { sqlite: 1, postgres: 50 }

/**
 * `map`, for reads that do not depend on each other: those of many items are on their way to the store at once, which on
 * another machine takes the time of one.
 */
export async function mapTogether<T, U>(
  { engine }: { readonly engine: keyof typeof TOGETHER },
  items: readonly T[],
  work: (item: T) => Promise<U>,
): Promise<U[]> {
  const size = TOGETHER[engine]
  const results: U[] = []
  for (let from = 0; from < items.length; from += size)
    // oxlint-disable-next-line no-await-in-loop -- not all at once, as a page may be long
    results.push(...(await Promise.all(items.slice(from, from + size).map(work))))
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
  items: Iterable<T> | AsyncIterable<T>,
  test: (item: T) => Promise<boolean>,
): Promise<T | undefined> {
  for await (const item of items) if (await test(item)) return item
  return undefined
}

/**
 * The rows of a query that answers `size` of them at most, those behind `last`: page after page, read as they are needed.
 */
export async function* inPages<T>(
  size: number,
  read: (last: T | undefined) => Promise<T[]>,
): AsyncGenerator<T, void> {
  for (let last: T | undefined; ;) {
    const rows = await read(last)
    yield* rows
    if (rows.length < size) return
    last = rows.at(-1)
  }
}

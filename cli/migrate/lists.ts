import { type Raw, TooLarge, type V1Server } from './v1-server.ts'

/** Items that one page asks for. */
const PAGE = 100

/** What a list could not give. */
export type Trouble = (why: string) => void

/**
 * The items of a V1 list, oldest first where the server can, each id once. Ends at an empty page (reference 1.2), and at
 * one that was there before: older servers give some lists whole, and broken ones turn in circles.
 */
export async function* listOf(
  server: V1Server,
  path: string,
  query: Record<string, string | number | boolean>,
  trouble: Trouble,
  { after, page = PAGE }: { after?: string; page?: number } = {},
): AsyncGenerator<Raw, void> {
  const cursors = new Set<string>(after === undefined ? [] : [after])
  let last = after
  let size = page
  let first = ''
  for (;;) {
    let items: Raw[] | null
    try {
      const cursor: Record<string, string> = last === undefined ? {} : { after: last }
      items = itemsOf(await server.get(path, { limit: size, order: 'asc', ...query, ...cursor }))
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error
      if (size === 1)
        return trouble(
          `${error.message}: ${last === undefined ? 'nothing of it' : `what follows '${last}'`} could not be read.`,
        )
      size = Math.max(1, Math.floor(size / 4))
      continue
    }
    if (items === null) return
    const end = idOf(items.at(-1))
    if (items.length === 0) return
    const begin = idOf(items[0])
    // The same page again: the list is not paged at all.
    if (begin === first && begin !== '') {
      if (items.length === size) trouble(`${path} gives the same page again and again: it may not be whole.`)
      return
    }
    first = begin
    yield* items
    if (end === '') return
    if (cursors.has(end)) return trouble(`${path} turns in circles: it may not be whole.`)
    cursors.add(end)
    last = end
  }
}

/** A list, bare or in an object; null for what is none. */
export function itemsOf(answer: unknown): Raw[] | null {
  if (Array.isArray(answer)) return answer.filter(isRaw)
  if (!isRaw(answer)) return null
  for (const key of ['messages', 'files', 'items', 'data'])
    if (Array.isArray(answer[key])) return (answer[key] as unknown[]).filter(isRaw)
  return null
}

export function isRaw(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The first of these fields that is a text; empty when none is. */
export function textIn(item: Raw, ...keys: string[]): string {
  for (const key of keys) if (typeof item[key] === 'string' && item[key] !== '') return item[key]
  return ''
}

/** The id of an item; empty when it has none. */
export function idOf(item: Raw | undefined): string {
  return typeof item?.['id'] === 'string' ? item['id'] : ''
}

import { idOf, itemsOf, listOf, textIn, type Trouble } from './lists.ts'
import { type Raw, TooLarge, type V1Server } from './v1-server.ts'

/** A message of V1: the API messages that have its id, in their order. */
export interface OldMessage {
  conversation_id: string | null
  id: string
  /** Milliseconds since 1970; NaN when it has no date. */
  at: number
  parts: Raw[]
}

/** Which messages of an agent are wanted. */
export interface Wanted {
  agent_id: string
  /** Null for the default one. */
  conversation_id: string | null
  /** The last one that is known: only those after it. */
  after: string | null
  page: number
  /** Whether the server has conversations: those that have them also keep to `order`. */
  modern: boolean
  /** Whether the conversation is named; without it those of all come. */
  filter?: boolean
}

/** The messages of a conversation from the oldest on; each page is read when it is needed. */
export async function* messagesOf(
  server: V1Server,
  wanted: Wanted,
  trouble: Trouble,
): AsyncGenerator<OldMessage, void> {
  const items = wanted.modern ? forward(server, wanted, trouble) : backward(server, wanted, trouble)
  let open: OldMessage | null = null
  for await (const item of items) {
    const id = idOf(item)
    if (open && open.id === id && id !== '') {
      open.parts.push(item)
      continue
    }
    if (open) yield open
    const at = Date.parse(textIn(item, 'date', 'created_at'))
    open = { conversation_id: wanted.conversation_id, id, at, parts: [item] }
  }
  if (open) yield open
}

function queryOf({ conversation_id, modern, filter = true }: Wanted): Record<string, string | boolean> {
  return {
    // Calls and returns as they were stored, not as what they say.
    use_assistant_message: false,
    include_err: true,
    ...(modern && filter ? { conversation_id: conversation_id ?? 'default' } : {}),
  }
}

async function* forward(server: V1Server, wanted: Wanted, trouble: Trouble): AsyncGenerator<Raw, void> {
  const path = `/v1/agents/${wanted.agent_id}/messages`
  const { after, page } = wanted
  let any = false
  const options = { page, ...(after === null ? {} : { after }) }
  for await (const item of listOf(server, path, queryOf(wanted), trouble, options)) {
    any = true
    yield item
  }
  if (any || after === null) return
  // A cursor that is gone there has no list after it: from the beginning, where what is known is passed over.
  const there = await server.get(path, { ...queryOf(wanted), limit: 1, order: 'asc', after })
  if (there === null) yield* forward(server, { ...wanted, after: null }, trouble)
}

/**
 * Older servers give the newest page, and the one before a message, whatever order is asked for. So the way back is
 * gone once for the places of the pages, and forward again for the messages: nothing is kept but one id a page.
 */
async function* backward(server: V1Server, wanted: Wanted, trouble: Trouble): AsyncGenerator<Raw, void> {
  const path = `/v1/agents/${wanted.agent_id}/messages`
  let size = wanted.page
  const read = async (before: string | null): Promise<Raw[]> => {
    for (;;)
      try {
        const cursor: Record<string, string> = before === null ? {} : { before }
        const query = { ...queryOf(wanted), limit: size, order: 'desc', ...cursor }
        return ascending(itemsOf(await server.get(path, query)) ?? [])
      } catch (error) {
        if (!(error instanceof TooLarge) || size === 1) throw error
        size = Math.max(1, Math.floor(size / 4))
      }
  }
  const places: { before: string | null; limit: number }[] = []
  const known = new Set<string>()
  for (let before: string | null = null; ;) {
    const items = await read(before)
    if (items.length === 0) break
    places.push({ before, limit: size })
    const oldest = idOf(items[0])
    if (wanted.after !== null && items.some((item) => idOf(item) === wanted.after)) break
    if (oldest === '' || known.has(oldest)) {
      trouble(`${path} turns in circles: it may not be whole.`)
      places.pop()
      break
    }
    known.add(oldest)
    before = oldest
  }
  for (const { before, limit } of places.toReversed()) {
    size = limit
    const items = await read(before)
    const from = wanted.after === null ? -1 : items.findLastIndex((item) => idOf(item) === wanted.after)
    yield* items.slice(from + 1)
  }
}

/** A page from the oldest on, whichever way it came. */
function ascending(items: Raw[]): Raw[] {
  const date = (item: Raw | undefined) => (item ? Date.parse(textIn(item, 'date', 'created_at')) : Number.NaN)
  const turned =
    date(items[0]) > date(items.at(-1)) || (date(items[0]) === date(items.at(-1)) && items.length > 1)
  return turned ? items.toReversed() : items
}

/** Several conversations as one, by date: what an agent did then stands in that order. */
export async function* merged(streams: AsyncGenerator<OldMessage, void>[]): AsyncGenerator<OldMessage, void> {
  const heads = await Promise.all(
    streams.map(async (stream) => {
      const { value } = await stream.next()
      return value ? { stream, value } : null
    }),
  )
  const open = heads.filter((head) => head !== null)
  while (open.length > 0) {
    let next = open[0]
    for (const head of open) if (next && head.value.at < next.value.at) next = head
    if (!next) return
    yield next.value
    const { value } = await next.stream.next()
    if (value) next.value = value
    else open.splice(open.indexOf(next), 1)
  }
}

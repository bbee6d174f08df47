import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  MessageFilter,
  MessageFind,
  MessageMatch,
  MessageSearch,
  MessageStore,
} from '../../core/ports/message-store.ts'
import type { ContentPart, StoredMessage } from '../../schema/message.ts'
import { SEND_MESSAGE, wordsOf } from '../../schema/message-text.ts'
import type { Page } from '../../schema/page.ts'
import { indexText, findTerms, queryTerms, type Term } from '../search-text.ts'
import type { Database, Transaction } from './database.ts'
import { indexed, matches, matchText, ownerWord, utc } from './full-text.ts'
import { historyOf, inHistory, inStretch } from './history.ts'
import { indexedUpTo, newestMessage } from './index-mark.ts'
import { depthFor, fuse } from '../fusion.ts'
import { wakeMessagesAtOnce } from './embeddings.ts'
import { unknownCursor } from './page.ts'
import { bestMatches, type Match, perTerm } from './ranking.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { MessageRow } from './tables.ts'
import type { VectorIndex } from './vector-index.ts'
import { nearestTexts, withoutVector } from './vector-search.ts'
import { jsonTexts } from './json.ts'

type Data = Pick<
  StoredMessage,
  | 'content'
  | 'name'
  | 'otid'
  | 'sender_id'
  | 'group_id'
  | 'model'
  | 'tool_calls'
  | 'tool_returns'
  | 'approval'
  | 'file_fields'
  | 'approval_reason'
>
/** A message row as the readers of this room select it. */
export type StoredRow = Omit<MessageRow, 'seq' | 'searchable' | 'organization_id'>

/** The columns of `StoredRow`. */
export const MESSAGE_COLUMNS = [
  'messages.id',
  'messages.agent_id',
  'messages.conversation_id',
  'messages.role',
  'messages.run_id',
  'messages.step_id',
  'messages.is_err',
  'messages.created_at',
  'messages.data',
] as const

/** Tools whose returns repeat other messages, or say nothing, and so are not found again. */
const NOT_SEARCHED: ReadonlySet<string> = new Set(['conversation_search', 'search_memory', SEND_MESSAGE])

const insert = query<Omit<MessageRow, 'seq'> & { seq?: never }>()((p) =>
  db.insertInto('messages').values({
    id: p.id,
    organization_id: p.organization_id,
    agent_id: p.agent_id,
    conversation_id: p.conversation_id,
    role: p.role,
    run_id: p.run_id,
    step_id: p.step_id,
    is_err: p.is_err,
    searchable: p.searchable,
    created_at: p.created_at,
    data: p.data,
  }),
)
/** Puts a message's text into the full-text index. */
export const addText = query<{ seq: number; owner: string; text: string }>()((p) =>
  db.insertInto('messages_fts').values({ rowid: p.seq, owner: p.owner, text: indexed(p.owner, p.text) }),
)
/** In PostgreSQL, the number of the message that this transaction has just stored. */
export const newestNumber = sql<number>`currval('messages_seq_seq')`
const addTextOfNewest = query<{ owner: string; text: string }>()((p) =>
  db
    .insertInto('messages_fts')
    .values({ rowid: newestNumber, owner: p.owner, text: indexed(p.owner, p.text) }),
)
const seqOf = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('messages').select('seq').where('id', '=', p.id).where('organization_id', '=', p.org),
)

const storedBy = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('conversations')
    .select((eb) => eb.fn.sum<number>('message_count').as('n'))
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org),
)

/** Messages that are not in the index yet are searched as they are, unless there are more of them than this. */
const MOST_UNINDEXED = 1000

/** What a search without words finds, of a whole agent at any time: tools and clients mostly ask for that. */
const newestOf = query<{ agent: string; org: string; roles: string; limit: number }>()((p) =>
  db
    .selectFrom('messages')
    .select(MESSAGE_COLUMNS)
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org)
    .where('searchable', '=', 1)
    .where('role', 'in', jsonTexts(p.roles))
    .orderBy('seq', 'desc')
    .limit(p.limit),
)

/** Messages that are committed and not in the full-text index yet. */
export interface UnindexedMessages {
  /** Puts what is committed by now into the index. */
  index(): Promise<void>
  /** For each of these queries (as `matchText` makes them) the texts that fit, newest first. */
  find(texts: readonly (Match & { owner: string; text: string })[], queries: readonly string[]): Match[][]
}

/** Reads of the stored messages: lists in the order they were written, and full-text search. */
export class SqlMessages implements MessageStore {
  readonly #database: Database
  readonly #unindexed: UnindexedMessages | null
  readonly #vectors: VectorIndex

  /** `unindexed`: null where a message enters the full-text index in its own commit. */
  constructor(database: Database, unindexed: UnindexedMessages | null, vectors: VectorIndex) {
    this.#database = database
    this.#vectors = vectors
    this.#unindexed = unindexed
  }

  list(actor: Actor, filter: MessageFilter, page: Page): Promise<StoredMessage[]> {
    return this.#database.read(async (c) => {
      let rows = db
        .selectFrom('messages')
        .select(MESSAGE_COLUMNS)
        .where('organization_id', '=', actor.organization_id)
      if (filter.ids) rows = rows.where('id', 'in', filter.ids)
      if (filter.agent_id !== undefined) rows = rows.where('agent_id', '=', filter.agent_id)
      else if (filter.conversation_id === undefined && filter.run_id === undefined) {
        // Neither what is left of a deleted agent nor what an import has stored so far.
        rows = rows.where('agent_id', 'not in', db.selectFrom('deletions').select('agent_id'))
      }
      if (filter.agent_ids) rows = rows.where('agent_id', 'in', filter.agent_ids)
      if (filter.run_id !== undefined) rows = rows.where('run_id', '=', filter.run_id)
      if (filter.batch_id !== undefined)
        rows = rows.where(
          'run_id',
          'in',
          db
            .selectFrom('batch_items')
            .select('run_id')
            .where('batch_id', '=', filter.batch_id)
            .where('run_id', 'is not', null),
        )
      if (filter.step_id !== undefined) {
        // There is an index by run only, and a run has few messages.
        const run = db.selectFrom('steps').select('run_id').where('id', '=', filter.step_id)
        rows = rows.where('run_id', '=', run).where('step_id', '=', filter.step_id)
      }
      if (filter.roles) rows = rows.where('role', 'in', filter.roles)
      if (!filter.include_err) rows = rows.where('is_err', '=', 0)
      const { conversation_id } = filter
      const inContext = filter.in_context && conversation_id !== undefined
      const [after, before, history] = await Promise.all([
        page.after === undefined ? null : cursor(c, actor, page.after),
        page.before === undefined ? null : cursor(c, actor, page.before),
        conversation_id === undefined || inContext ? [null] : historyOf(c, actor, conversation_id),
      ])
      // A single cursor decides which end the page is taken from, so that it touches the cursor (DESIGN decision 10).
      const upward =
        (page.after === undefined) === (page.before === undefined)
          ? page.order === 'asc'
          : page.after !== undefined
      const turn = (found: StoredMessage[]) =>
        upward === (page.order === 'asc') ? found : found.toReversed()
      if (inContext) {
        // In the order of the context: a summary stands before what it does not tell of, however new it is.
        const places = await placesInContext(c, actor, conversation_id)
        const placeOf = (seq: number | null, id: string | undefined, none: number) => {
          const place = seq === null ? none : places.get(seq)
          if (place === undefined) throw unknownCursor(id ?? '')
          return place
        }
        const from = placeOf(after, page.after, -1)
        const to = placeOf(before, page.before, places.size)
        const context = db.selectFrom('context_messages').select('message_seq')
        const found = (
          await c.all(
            rows
              .select('messages.seq')
              .where('seq', 'in', context.where('conversation_id', '=', conversation_id)),
          )
        )
          .map((row) => ({ row, place: places.get(row.seq) ?? -1 }))
          .filter(({ place }) => place > from && place < to)
          .sort((a, b) => (upward ? a.place - b.place : b.place - a.place))
        return turn(found.slice(0, page.limit).map(({ row }) => messageOf(row)))
      }
      if (after !== null) rows = rows.where('seq', '>', after)
      if (before !== null) rows = rows.where('seq', '<', before)
      const messages: StoredMessage[] = []
      // One after the other: each is read through its index.
      for (const stretch of upward ? history : history.toReversed()) {
        const some = stretch ? rows.where(inStretch(stretch)) : rows
        const wanted = page.limit - messages.length
        if (wanted > 0)
          messages.push(
            ...(await c.all(some.orderBy('seq', upward ? 'asc' : 'desc').limit(wanted))).map(messageOf),
          )
      }
      return turn(messages)
    })
  }

  async search(actor: Actor, search: MessageSearch): Promise<StoredMessage[]> {
    const blank = (search.query ?? '').trim() === ''
    const terms = queryTerms(search.query ?? '')
    if (search.roles.length === 0 || (!blank && terms.length === 0)) return []
    const { conversation_id, start_date, end_date } = search
    const { agent_id: agent, limit } = search
    if (agent !== undefined && blank && conversation_id === undefined && !start_date && !end_date) {
      const roles = JSON.stringify(search.roles)
      const some = { agent, org: actor.organization_id, roles, limit }
      return this.#database.read(async (c) => (await newestOf.all(c, some)).map(messageOf))
    }
    const find = async (c: Connection) => {
      const mine = await narrowed(c, actor, messagesOf(actor, agent, search.roles), search)
      const newest = mine.select('messages.seq').orderBy('messages.seq', 'desc').limit(search.limit)
      const having = (term: Term) =>
        mine
          .innerJoin('messages_fts', 'messages_fts.rowid', 'messages.seq')
          .where(matches('messages_fts', agent === undefined ? null : [agent], term))
          .select(['messages.seq', sql<number>`octet_length(messages.data)`.as('length')])
          .orderBy('messages_fts.rowid', 'desc')
          .limit(perTerm(terms.length))
      const inText = async (asked: readonly Term[]) => {
        const fresh = await this.#fresh(c, mine, agent, asked)
        // Asked together: on another machine together takes the time of the slowest.
        return await Promise.all(
          asked.map(async (term, i) =>
            [...(fresh[i] ?? []), ...(await c.all(having(term)))].slice(0, perTerm(terms.length)),
          ),
        )
      }
      if (blank)
        return await rowsOf(
          c,
          (await c.all(newest)).map((row) => row.seq),
        )
      const [found, stored] = await Promise.all([
        findTerms(terms, inText),
        agent === undefined
          ? newestMessage(c)
          : storedBy.get(c, { agent, org: actor.organization_id }).then((row) => row?.n ?? 0),
      ])
      return await rowsOf(c, bestMatches(found, stored, search.limit))
    }
    if (!this.#unindexed) return this.#database.read(find)
    const some = await this.#database.read(async (c) =>
      (await newestMessage(c)) - (await indexedUpTo(c)) > MOST_UNINDEXED ? null : await find(c),
    )
    if (some) return some
    await this.#unindexed.index()
    return this.#database.read(find)
  }

  async find(actor: Actor, search: MessageFind): Promise<MessageMatch[]> {
    const { vectors, mode, limit } = search
    if (search.query.trim() === '') return []
    const near = mode !== 'fts' && vectors.size > 0
    const depth = near ? depthFor(limit) : limit
    const [byWords, byVectors] = await Promise.all([
      near && mode === 'vector' ? [] : this.search(actor, { ...search, limit: depth }),
      near ? this.#nearest(actor, search, depth) : [],
    ])
    const byId = new Map([...byWords, ...byVectors].map((message) => [message.id, message]))
    const ids = (messages: readonly StoredMessage[]) => messages.map(({ id }) => id)
    const unembedded = near ? await this.#unembedded(actor, search, ids(byWords)) : undefined
    return fuse(ids(byWords), ids(byVectors), limit, 1, unembedded).flatMap(({ key, ...ranks }) => {
      const message = byId.get(key)
      return message ? [{ message, ...ranks }] : []
    })
  }

  async #unembedded(actor: Actor, search: MessageFind, ids: readonly string[]): Promise<Set<string>> {
    const places = await this.#database.read(
      async (c) => await c.all(db.selectFrom('messages').select(['id', 'seq']).where('id', 'in', ids)),
    )
    const scope = { of: 'messages', agent_id: search.agent_id } as const
    const seqs = places.map(({ seq }) => seq)
    const none = await withoutVector(this.#database, actor, scope, search.vectors, seqs)
    return new Set(places.filter(({ seq }) => none.has(seq)).map(({ id }) => id))
  }

  async #nearest(actor: Actor, search: MessageFind, limit: number): Promise<StoredMessage[]> {
    const scope = { of: 'messages', agent_id: search.agent_id } as const
    const seqs = await nearestTexts(this.#database, this.#vectors, actor, scope, search.vectors, {
      among: async (c, agent_id, after, most) =>
        (
          await c.all(
            (await narrowed(c, actor, messagesOf(actor, agent_id, search.roles), search))
              .select('messages.seq')
              .where('messages.seq', '>', after)
              .orderBy('messages.seq')
              .limit(most),
          )
        ).map(({ seq }) => seq),
      limit,
    })
    return this.#database.read(async (c) => await rowsOf(c, seqs))
  }

  /** What of these messages has each of the terms and is not in the index yet. */
  async #fresh(
    c: Connection,
    mine: ReturnType<typeof messagesOf>,
    agent_id: string | undefined,
    terms: readonly Term[],
  ): Promise<Match[][]> {
    if (!this.#unindexed) return terms.map(() => [])
    const rows = await c.all(
      mine
        .where('messages.seq', '>', await indexedUpTo(c))
        .select([...MESSAGE_COLUMNS, 'messages.seq', sql<number>`octet_length(messages.data)`.as('length')]),
    )
    const texts = rows.map(({ seq, length, ...row }) => ({ seq, length, ...indexEntry(messageOf(row)) }))
    return this.#unindexed.find(
      texts,
      terms.map((term) => matchText(agent_id === undefined ? null : [agent_id], [term])),
    )
  }
}

/** The messages of an agent, or of all, that a search may find. */
function messagesOf(actor: Actor, agent_id: string | undefined, roles: MessageSearch['roles']) {
  const all = db.selectFrom('messages').where('messages.organization_id', '=', actor.organization_id)
  const partial = db.selectFrom('deletions').select('deletions.agent_id')
  return (
    agent_id === undefined
      ? all.where('messages.agent_id', 'not in', partial)
      : all.where('messages.agent_id', '=', agent_id)
  )
    .where('messages.searchable', '=', 1)
    .where('messages.role', 'in', roles)
}

/** Those of a conversation and a time that a search asks for. */
async function narrowed(
  c: Connection,
  actor: Actor,
  rows: ReturnType<typeof messagesOf>,
  { conversation_id, start_date, end_date }: MessageSearch,
) {
  let narrow = rows
  if (start_date !== undefined) narrow = narrow.where('messages.created_at', '>=', utc(start_date))
  if (end_date !== undefined) narrow = narrow.where('messages.created_at', '<', utc(end_date))
  return conversation_id === undefined
    ? narrow
    : narrow.where(inHistory(await historyOf(c, actor, conversation_id)))
}

/** Messages by their numbers, in that order. */
async function rowsOf(c: Connection, seqs: readonly number[]): Promise<StoredMessage[]> {
  const columns = db.selectFrom('messages').select([...MESSAGE_COLUMNS, 'messages.seq'])
  const bySeq = new Map(
    (await c.all(columns.where('messages.seq', 'in', seqs))).map((row) => [row.seq, messageOf(row)]),
  )
  return seqs.flatMap((seq) => bySeq.get(seq) ?? [])
}

/** Stores one message; the index takes it in later (message-index.ts). Answers a copy as a later read would give it. */
export async function insertMessage(
  tx: Transaction,
  actor: Actor,
  message: StoredMessage,
): Promise<StoredMessage> {
  const text = message.is_err ? '' : searchText(message)
  const data: Data = {
    content: message.content,
    name: message.name,
    otid: message.otid,
    sender_id: message.sender_id,
    group_id: message.group_id,
    model: message.model,
    tool_calls: message.tool_calls,
    tool_returns: message.tool_returns,
    ...(message.approval ? { approval: message.approval } : {}),
    ...(message.file_fields ? { file_fields: message.file_fields } : {}),
    ...(message.approval_reason === undefined ? {} : { approval_reason: message.approval_reason }),
  }
  const row = {
    id: message.id,
    organization_id: actor.organization_id,
    agent_id: message.agent_id,
    conversation_id: message.conversation_id,
    role: message.role,
    run_id: message.run_id,
    step_id: message.step_id,
    is_err: Number(message.is_err),
    searchable: Number(text !== ''),
    created_at: message.created_at,
    data: JSON.stringify(data),
  }
  await insert.send(tx, row)
  // PostgreSQL takes in a text without looking at what is there already (docs/decisions/0017).
  if (tx.engine === 'postgres' && text !== '') {
    await addTextOfNewest.send(tx, { owner: ownerWord(message.agent_id), text: indexText(text) })
    await wakeMessagesAtOnce(tx, message.agent_id)
  }
  return messageOf(row)
}

/** The stored message of a row. */
export function messageOf(row: StoredRow): StoredMessage {
  const data = JSON.parse(row.data) as Data
  return {
    id: row.id,
    agent_id: row.agent_id,
    conversation_id: row.conversation_id,
    role: row.role as StoredMessage['role'],
    content: data.content,
    name: data.name,
    otid: data.otid,
    sender_id: data.sender_id,
    group_id: data.group_id,
    step_id: row.step_id,
    run_id: row.run_id,
    model: data.model,
    tool_calls: data.tool_calls,
    tool_returns: data.tool_returns,
    ...(data.approval ? { approval: data.approval } : {}),
    ...(data.file_fields ? { file_fields: data.file_fields } : {}),
    ...(data.approval_reason === undefined ? {} : { approval_reason: data.approval_reason }),
    is_err: row.is_err === 1,
    created_at: row.created_at,
  }
}

/** A message as the full-text index has it. */
export function indexEntry(message: StoredMessage): { owner: string; text: string } {
  return { owner: ownerWord(message.agent_id), text: indexText(searchText(message)) }
}

/** What a message is found by; empty for one that is not. */
export function searchText(message: StoredMessage): string {
  switch (message.role) {
    case 'user':
    case 'assistant':
      return wordsOf(message)
    case 'tool':
      return message.tool_returns
        .filter((result) => !NOT_SEARCHED.has(result.name))
        .map(({ func_response }) =>
          typeof func_response === 'string' ? func_response : textOf(func_response),
        )
        .join('\n')
        .trim()
    default:
      return ''
  }
}

function textOf(content: readonly ContentPart[]): string {
  return content
    .map((part) => (part.type === 'text' ? part.text : ''))
    .join('\n')
    .trim()
}

/** The places of the messages in a context, by their numbers. */
async function placesInContext(
  connection: Connection,
  actor: Actor,
  conversation_id: string,
): Promise<Map<number, number>> {
  const rows = db
    .selectFrom('context_messages')
    .select('message_seq')
    .where('conversation_id', '=', conversation_id)
    .where('organization_id', '=', actor.organization_id)
    .orderBy('position')
  return new Map((await connection.all(rows)).map((row, place) => [row.message_seq, place]))
}

async function cursor(connection: Connection, actor: Actor, id: string): Promise<number> {
  const row = await seqOf.get(connection, { id, org: actor.organization_id })
  if (!row) throw unknownCursor(id)
  return row.seq
}

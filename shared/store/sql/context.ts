import { sql } from 'kysely'
import { mapEach } from '../each.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { pause } from '../pause.ts'
import type { Database, Transaction } from './database.ts'
import { MESSAGE_COLUMNS, insertMessage, messageOf, newestNumber } from './messages.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'

/** The parsed contexts of the conversations used last, up to about this many characters in all. */
const CACHE_CHARACTERS = 16_000_000
/** Messages of a long context that are read in one go. */
const PART = 1_000

const contextOf = query<{ conversation: string; org: string }>()((p) =>
  db
    .selectFrom('context_messages')
    .innerJoin('messages', 'messages.seq', 'context_messages.message_seq')
    .select(MESSAGE_COLUMNS)
    .where('context_messages.conversation_id', '=', p.conversation)
    .where('context_messages.organization_id', '=', p.org)
    .orderBy('context_messages.position'),
)
const contextState = query<{ conversation: string; org: string }>()((p) =>
  db
    .selectFrom('conversations')
    .select(['context_length', 'context_version'])
    .where('id', '=', p.conversation)
    .where('organization_id', '=', p.org),
)
const contextAfter = query<{ conversation: string; org: string; after: number; limit: number }>()((p) =>
  db
    .selectFrom('context_messages')
    .innerJoin('messages', 'messages.seq', 'context_messages.message_seq')
    .select([...MESSAGE_COLUMNS, 'context_messages.position'])
    .where('context_messages.conversation_id', '=', p.conversation)
    .where('context_messages.organization_id', '=', p.org)
    .where('context_messages.position', '>', p.after)
    .orderBy('context_messages.position')
    .limit(p.limit),
)
const contextIds = query<{ conversation: string; org: string }>()((p) =>
  db
    .selectFrom('context_messages')
    .innerJoin('messages', 'messages.seq', 'context_messages.message_seq')
    .select('messages.id')
    .where('context_messages.conversation_id', '=', p.conversation)
    .where('context_messages.organization_id', '=', p.org)
    .orderBy('context_messages.position'),
)
/** Puts a stored message at a place of a context. */
export const placeMessage = query<{ conversation: string; position: number; message: string; org: string }>()(
  (p) =>
    db
      .insertInto('context_messages')
      .columns(['conversation_id', 'position', 'message_seq', 'organization_id'])
      .expression((eb) =>
        eb
          .selectFrom('messages')
          .select([
            sql<string>`cast(${p.conversation} as text)`.as('conversation_id'),
            sql<number>`cast(${p.position} as integer)`.as('position'),
            'seq',
            'organization_id',
          ])
          .where('id', '=', p.message)
          .where('organization_id', '=', p.org),
      ),
)
/** The same for the message that this transaction has just stored: PostgreSQL need not look for it in all partitions. */
const placeNewest = query<{ conversation: string; position: number; org: string }>()((p) =>
  db.insertInto('context_messages').values({
    conversation_id: p.conversation,
    position: p.position,
    message_seq: newestNumber,
    organization_id: p.org,
  }),
)
const rewrite = query<{ id: string; conversation: string; org: string; data: string }>()((p) =>
  db
    .updateTable('messages')
    .set({ data: p.data })
    .where('id', '=', p.id)
    .where('conversation_id', '=', p.conversation)
    .where('organization_id', '=', p.org),
)
const oneMessage = query<{ id: string; conversation: string; org: string }>()((p) =>
  db
    .selectFrom('messages')
    .select(MESSAGE_COLUMNS)
    .where('id', '=', p.id)
    .where('conversation_id', '=', p.conversation)
    .where('organization_id', '=', p.org),
)

interface Cached {
  version: number
  messages: readonly StoredMessage[]
  characters: number
}

/**
 * Contexts as they were last read or written, each valid for one `context_version` of its conversation, which the
 * caller has read in its own transaction. A turn then parses only what is new. Cached messages are shared: nobody
 * may change them.
 */
export class ContextCache {
  readonly #entries = new Map<string, Cached>()
  #characters = 0

  /** Whether there is one, of whatever version. */
  has(conversation_id: string): boolean {
    return this.#entries.has(conversation_id)
  }

  get(conversation_id: string, version: number): readonly StoredMessage[] | null {
    const entry = this.#entries.get(conversation_id)
    if (entry?.version !== version) return null
    // The map's order is the order of use.
    this.#entries.delete(conversation_id)
    this.#entries.set(conversation_id, entry)
    return entry.messages
  }

  set(conversation_id: string, version: number, messages: readonly StoredMessage[]): void {
    const characters = this.#measure(conversation_id, messages)
    this.delete(conversation_id)
    this.#entries.set(conversation_id, { version, messages, characters })
    this.#characters += characters
    for (const oldest of this.#entries.keys()) {
      if (this.#characters <= CACHE_CHARACTERS) break
      this.delete(oldest)
    }
  }

  delete(conversation_id: string): void {
    const entry = this.#entries.get(conversation_id)
    if (!entry) return
    this.#entries.delete(conversation_id)
    this.#characters -= entry.characters
  }

  /** Only what is new is measured: a context mostly grows at its end. */
  #measure(conversation_id: string, messages: readonly StoredMessage[]): number {
    const known = this.#entries.get(conversation_id)
    const grown = known && known.messages.length > 0 && known.messages.length <= messages.length
    const from = grown && known.messages.at(-1) === messages[known.messages.length - 1] ? known : null
    let characters = from?.characters ?? 0
    for (let i = from?.messages.length ?? 0; i < messages.length; i++) {
      characters += weight(messages[i])
    }
    return characters
  }
}

/** About how much memory a message takes; text decides. */
function weight(message: StoredMessage | undefined): number {
  let characters = 300
  for (const part of message?.content ?? []) {
    if (part.type === 'text') characters += part.text.length
    else if (part.type === 'reasoning') characters += part.reasoning.length
    else if (part.type === 'image' && part.source.type === 'base64') characters += part.source.data.length
  }
  for (const call of message?.tool_calls ?? []) characters += call.function.arguments.length
  for (const { func_response } of message?.tool_returns ?? []) {
    characters +=
      typeof func_response === 'string' ? func_response.length : JSON.stringify(func_response).length
  }
  return characters
}

/** The in-context messages of a conversation, in order. */
export async function readContext(
  connection: Connection,
  actor: Actor,
  conversation_id: string,
): Promise<StoredMessage[]> {
  return (await contextOf.all(connection, { conversation: conversation_id, org: actor.organization_id })).map(
    messageOf,
  )
}

/**
 * A long context, read in parts between which others have their turn. Null for a short one, and when it has changed
 * meanwhile.
 */
export async function readLongContext(
  database: Database,
  actor: Actor,
  conversation_id: string,
): Promise<{ version: number; messages: StoredMessage[] } | null> {
  const place = { conversation: conversation_id, org: actor.organization_id }
  const state = () => database.read(async (c) => await contextState.get(c, place))
  const before = await state()
  if (!before || before.context_length <= PART) return null
  const messages: StoredMessage[] = []
  for (let after = -1; ;) {
    const rows = await database.read(async (c) => await contextAfter.all(c, { ...place, after, limit: PART }))
    for (const { position, ...row } of rows) {
      messages.push(messageOf(row))
      after = position
    }
    if (rows.length < PART) break
    await pause(0)
  }
  const version = before.context_version
  return (await state())?.context_version === version ? { version, messages } : null
}

/** The ids of the in-context messages, in order. */
export async function readContextIds(
  connection: Connection,
  actor: Actor,
  conversation_id: string,
): Promise<string[]> {
  return (
    await contextIds.all(connection, { conversation: conversation_id, org: actor.organization_id })
  ).map((row) => row.id)
}

/**
 * Stores the messages and appends them to the context, whose next free position is `end`. Answers copies of them as
 * a later read would give them.
 */
export async function appendMessages(
  tx: Transaction,
  actor: Actor,
  conversation_id: string,
  end: number,
  messages: readonly StoredMessage[],
): Promise<StoredMessage[]> {
  return await mapEach(messages, async (message, i) => {
    const stored = await insertMessage(tx, actor, message)
    const place = { conversation: conversation_id, position: end + i, org: actor.organization_id }
    if (tx.engine === 'postgres') await placeNewest.send(tx, place)
    else await placeMessage.send(tx, { ...place, message: message.id })
    return stored
  })
}

/** Puts a new text in a stored message; answers the message as it is now, null when there is none. */
export async function rewriteText(
  tx: Transaction,
  actor: Actor,
  conversation_id: string,
  message_id: string,
  text: string,
): Promise<StoredMessage | null> {
  const key = { id: message_id, conversation: conversation_id, org: actor.organization_id }
  const row = await oneMessage.get(tx, key)
  if (!row) return null
  const data = JSON.stringify({ ...(JSON.parse(row.data) as object), content: [{ type: 'text', text }] })
  await rewrite.send(tx, { ...key, data })
  return messageOf({ ...row, data })
}

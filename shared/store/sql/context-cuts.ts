import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { AppError } from '../../schema/errors.ts'
import type { ConversationRow } from './conversation-rows.ts'
import type { Transaction } from './database.ts'
import { MESSAGE_COLUMNS, messageOf, type StoredRow } from './messages.ts'
import type { Connection } from './query.ts'
import { query, db, portable } from './query.ts'

/** How many earlier contexts of a conversation are kept. */
const KEPT = 200

const seqsOf = query<{ conversation: string; org: string }>()((p) =>
  db
    .selectFrom('context_messages')
    .select('message_seq')
    .where('conversation_id', '=', p.conversation)
    .where('organization_id', '=', p.org)
    .orderBy('position'),
)
const earlier = query<{ conversation: string; org: string }>()((p) =>
  db
    .selectFrom('earlier_contexts')
    .select('message_seqs')
    .where('conversation_id', '=', p.conversation)
    .where('organization_id', '=', p.org)
    .orderBy('id', 'desc'),
)
const keep = query<{ conversation: string; org: string; at: string; seqs: string }>()((p) =>
  db
    .insertInto('earlier_contexts')
    .values({
      conversation_id: p.conversation,
      organization_id: p.org,
      created_at: p.at,
      message_seqs: p.seqs,
    })
    .returning('id'),
)
const messageById = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('messages')
    .select(['seq', 'agent_id', 'role'])
    .where('id', '=', p.id)
    .where('organization_id', '=', p.org),
)
const messageAt = query<{ seq: number; org: string }>()((p) =>
  db
    .selectFrom('messages')
    .select(MESSAGE_COLUMNS)
    .where('seq', '=', p.seq)
    .where('organization_id', '=', p.org),
)

/** Which context is wanted: one that ends with a message, or before it. */
export interface Cut {
  message_id: string
  end: 'with' | 'before'
}

/** The numbers of the messages in a context, in order. */
export async function contextSeqs(
  connection: Connection,
  actor: Actor,
  conversation_id: string,
): Promise<number[]> {
  return (await seqsOf.all(connection, { conversation: conversation_id, org: actor.organization_id })).map(
    (row) => row.message_seq,
  )
}

/** The messages of these numbers, in this order. */
export async function messagesOfSeqs(
  connection: Connection,
  actor: Actor,
  seqs: readonly number[],
): Promise<StoredMessage[]> {
  const wanted = JSON.stringify(seqs)
  const rows = await connection.all(
    sql<StoredRow>`select ${sql.join(MESSAGE_COLUMNS.map((column) => sql.ref(column)))}
      from ${numbered(wanted)} as wanted join messages on messages.seq = wanted.value
      where messages.organization_id = ${actor.organization_id} order by wanted.key`,
  )
  return rows.map(messageOf)
}

/** The numbers of a JSON array as rows: `key` is the place, from 0, and `value` the number. */
function numbered(array: string) {
  return portable({
    sqlite: sql`json_each(${array})`,
    postgres: sql`(select n - 1 as key, value::bigint as value
      from json_array_elements_text(${array}::json) with ordinality as each (value, n))`,
  })
}

/**
 * The context as it is to be: the present one up to the message, or the newest earlier one that has it. A message
 * stays with the answers to its tool calls. Throws `not_found` for the message, `invalid_argument` for a message that
 * cannot be cut before, `conflict` when it is in no context that is known.
 */
export async function cutContext(
  connection: Connection,
  actor: Actor,
  conversation: Pick<ConversationRow, 'id' | 'agent_id'>,
  cut: Cut,
): Promise<number[]> {
  const message = await messageById.get(connection, { id: cut.message_id, org: actor.organization_id })
  if (message?.agent_id !== conversation.agent_id) throw noMessage(cut.message_id)
  const present = await contextSeqs(connection, actor, conversation.id)
  const whole = present.includes(message.seq)
    ? present
    : await earlierWith(connection, actor, conversation.id, message.seq, cut.message_id)
  const at = whole.indexOf(message.seq)
  if (cut.end === 'before' && (at === 0 || message.role !== 'user'))
    throw new AppError(
      'invalid_argument',
      `Message '${cut.message_id}' is no message of a user: only those can be edited. To go on after it, rewind to it.`,
    )
  let end = at + Number(cut.end === 'with')
  if (cut.end === 'with') while (await belongsTo(connection, actor, whole[end], whole[end - 1])) end++
  const [system] = present
  return system === undefined ? whole.slice(0, end) : [system, ...whole.slice(1, end)]
}

/** The earlier contexts hold numbers of messages that are still stored: a reset forgets both. */
async function earlierWith(
  connection: Connection,
  actor: Actor,
  conversation_id: string,
  seq: number,
  message_id: string,
): Promise<number[]> {
  const key = { conversation: conversation_id, org: actor.organization_id }
  for (const row of await earlier.all(connection, key)) {
    const seqs = JSON.parse(row.message_seqs) as number[]
    if (seqs.includes(seq)) return seqs
  }
  throw new AppError(
    'conflict',
    `Message '${message_id}' is not in the context of this conversation, and no earlier context with it is known: it ` +
      'belongs to another conversation, left the context before this one was forked, failed, or its agent keeps no ' +
      'context between messages (message_buffer_autoclear).',
  )
}

/**
 * Whether a message may not be parted from the one before it: it answers tool calls, or it asks for approval of calls of
 * the same step.
 */
async function belongsTo(
  connection: Connection,
  actor: Actor,
  seq: number | undefined,
  before: number | undefined,
): Promise<boolean> {
  const read = async (at: number | undefined) => {
    const row =
      at === undefined ? undefined : await messageAt.get(connection, { seq: at, org: actor.organization_id })
    return row && messageOf(row)
  }
  const message = await read(seq)
  if (message?.role !== 'approval') return message?.role === 'tool'
  if (message.tool_calls.length === 0) return true
  const asked = await read(before)
  return message.step_id !== null && asked?.step_id === message.step_id && asked.tool_calls.length > 0
}

/** Remembers the present context before it is cut, compacted or replaced: `cutContext` finds it again. */
export async function rememberContext(tx: Transaction, actor: Actor, conversation_id: string): Promise<void> {
  const key = { conversation: conversation_id, org: actor.organization_id }
  const seqs = await contextSeqs(tx, actor, conversation_id)
  const kept = await keep.get(tx, { ...key, at: new Date().toISOString(), seqs: JSON.stringify(seqs) })
  await tx.send(
    sql`delete from earlier_contexts where conversation_id = ${conversation_id} and id <= (
      select id from earlier_contexts where conversation_id = ${conversation_id} and id <= ${kept?.id ?? 0}
      order by id desc limit 1 offset ${KEPT})`,
  )
}

/**
 * Makes these the messages of the context. What both begin with stays where it is. Answers the columns of the
 * conversation that tell of it, and how many messages went and came.
 */
export async function replaceContext(
  tx: Transaction,
  actor: Actor,
  conversation: Pick<ConversationRow, 'id' | 'context_end'>,
  seqs: readonly number[],
): Promise<{ length: number; end: number; removed: number; restored: number }> {
  const present = await contextSeqs(tx, actor, conversation.id)
  let same = 0
  while (same < present.length && present[same] === seqs[same]) same++
  if (same < present.length) {
    await tx.send(
      sql`delete from context_messages where conversation_id = ${conversation.id} and position >= (
        select position from context_messages where conversation_id = ${conversation.id}
        order by position limit 1 offset ${same})`,
    )
  }
  const added = seqs.slice(same)
  await appendSeqs(tx, actor, conversation.id, conversation.context_end, added)
  return {
    length: seqs.length,
    end: conversation.context_end + added.length,
    removed: present.length - same,
    restored: added.length,
  }
}

/** Appends messages that are stored already to a context whose next free position is `end`. */
export async function appendSeqs(
  tx: Transaction,
  actor: Actor,
  conversation_id: string,
  end: number,
  seqs: readonly number[],
): Promise<void> {
  if (seqs.length === 0) return
  await tx.send(
    sql`insert into context_messages (conversation_id, position, message_seq, organization_id)
      select cast(${conversation_id} as text), cast(${end} as integer) + key, value,
        cast(${actor.organization_id} as text)
      from ${numbered(JSON.stringify(seqs))} as added`,
  )
}

function noMessage(id: string): AppError {
  return new AppError('not_found', `There is no message '${id}' of this agent.`)
}

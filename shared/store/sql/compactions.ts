import type { Actor } from '../../core/ports/actor.ts'
import type {
  CompactConversation,
  CompactionStore,
  ContextCompaction,
  ContextUsage,
} from '../../core/ports/compaction-store.ts'
import type { Compaction, CompactionDetail } from '../../schema/compaction.ts'
import { AppError } from '../../schema/errors.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { Page } from '../../schema/page.ts'
import { rememberContext } from './context-cuts.ts'
import { placeMessage, rewriteText } from './context.ts'
import { readConversationRow } from './conversation-rows.ts'
import type { Database, Transaction } from './database.ts'
import type { Instance } from './instances.ts'
import { takeOver } from './lease.ts'
import { insertMessage } from './messages.ts'
import { windowOf } from './page.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'

const placeOf = query<{ conversation: string; org: string; id: string }>()((p) =>
  db
    .selectFrom('messages')
    .innerJoin('context_messages', 'context_messages.message_seq', 'messages.seq')
    .select('context_messages.position')
    .where('messages.id', '=', p.id)
    .where('messages.organization_id', '=', p.org)
    .where('context_messages.conversation_id', '=', p.conversation),
)
const firstPosition = query<{ conversation: string }>()((p) =>
  db
    .selectFrom('context_messages')
    .select('position')
    .where('conversation_id', '=', p.conversation)
    .orderBy('position')
    .limit(1),
)
const removeBetween = query<{ conversation: string; after: number; through: number }>()((p) =>
  db
    .deleteFrom('context_messages')
    .where('conversation_id', '=', p.conversation)
    .where('position', '>', p.after)
    .where('position', '<=', p.through),
)
const removeOne = query<{ conversation: string; position: number }>()((p) =>
  db
    .deleteFrom('context_messages')
    .where('conversation_id', '=', p.conversation)
    .where('position', '=', p.position),
)
const insertRecord = query<{
  id: string
  org: string
  agent: string
  conversation: string
  at: string
  evicted: string
  data: string
}>()((p) =>
  db.insertInto('compactions').values({
    id: p.id,
    organization_id: p.org,
    agent_id: p.agent,
    conversation_id: p.conversation,
    created_at: p.at,
    evicted: p.evicted,
    data: p.data,
  }),
)
const recordById = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('compactions')
    .select(['data', 'evicted'])
    .where('id', '=', p.id)
    .where('organization_id', '=', p.org),
)
const putUsage = query<{ id: string; usage: string }>()((p) =>
  db.updateTable('conversations').set({ context_usage: p.usage }).where('id', '=', p.id),
)

const shrink = query<{
  id: string
  version: number
  length: number
  count: number
  run: string | null
  instance: string | null
}>()((p) =>
  db
    .updateTable('conversations')
    .set({
      context_version: p.version,
      context_length: p.length,
      message_count: p.count,
      run_id: p.run,
      instance_id: p.instance,
    })
    .where('id', '=', p.id),
)

/** Compactions outside of turns, and the records of all. */
export class SqlCompactions implements CompactionStore {
  readonly #database: Database
  readonly #instance: Instance

  constructor(database: Database, instance: Instance) {
    this.#database = database
    this.#instance = instance
  }

  compact(actor: Actor, change: CompactConversation): Promise<void> {
    const { agent_id, conversation_id, system } = change
    return this.#database.write(async (tx) => {
      const row = await readConversationRow(tx, actor, conversation_id)
      if (row?.agent_id !== agent_id)
        throw new AppError('not_found', `There is no conversation '${conversation_id}' of this agent.`)
      await takeOver(tx, this.#instance, row)
      const { removed } = await putCompaction(tx, actor, row, change.compaction)
      await rewriteText(tx, actor, conversation_id, system.message_id, system.text)
      const version = row.context_version + 1
      await shrink.send(tx, {
        id: conversation_id,
        version,
        length: row.context_length - removed + 1,
        count: row.message_count + 1,
        run: null,
        instance: null,
      })
      await saveContextUsage(tx, conversation_id, change.context_usage, version)
      const type = conversation_id === agent_id ? 'agent.updated' : 'conversation.updated'
      await tx.event(actor, type, conversation_id, agent_id)
    })
  }

  list(
    actor: Actor,
    filter: { agent_id: string; conversation_id?: string },
    page: Page,
  ): Promise<Compaction[]> {
    return this.#database.read(async (c) => await readCompactions(c, actor, filter, page))
  }

  get(actor: Actor, compaction_id: string): Promise<CompactionDetail | null> {
    return this.#database.read(async (c) => await readCompaction(c, actor, compaction_id))
  }
}

/**
 * Puts a summary in the place of the older part of a context, in one go: the rows of the context between the system
 * message and what stays are removed, the messages themselves are not touched. Answers the summary as a later read
 * gives it, and how many messages left. Throws `conflict` when `through` is not in the context.
 */
export async function putCompaction(
  tx: Transaction,
  actor: Actor,
  conversation: { id: string; agent_id: string },
  { summary, through, record }: ContextCompaction,
): Promise<{ stored: StoredMessage; removed: number }> {
  const key = { conversation: conversation.id, org: actor.organization_id }
  const last = await placeOf.get(tx, { ...key, id: through })
  const system = await firstPosition.get(tx, key)
  if (!last || !system || last.position <= system.position)
    throw new AppError(
      'conflict',
      `The context of the conversation '${conversation.id}' was changed while its summary was written: nothing was replaced. Compact it again.`,
    )
  await rememberContext(tx, actor, conversation.id)
  const { changes } = await removeBetween.run(tx, { ...key, after: system.position, through: last.position })
  const stored = await insertMessage(tx, actor, summary)
  await placeMessage.send(tx, { ...key, position: last.position, message: summary.id })
  const { evicted_message_ids, ...data } = record
  await insertRecord.send(tx, {
    id: record.id,
    org: actor.organization_id,
    agent: conversation.agent_id,
    conversation: conversation.id,
    at: record.created_at,
    evicted: JSON.stringify(evicted_message_ids),
    data: JSON.stringify(data),
  })
  return { stored, removed: changes }
}

/** Takes these messages out of a context; answers how many were in it. They stay in the history. */
export async function dropFromContext(
  tx: Transaction,
  actor: Actor,
  conversation_id: string,
  message_ids: readonly string[],
): Promise<number> {
  const key = { conversation: conversation_id, org: actor.organization_id }
  let dropped = 0
  for (const id of message_ids) {
    const place = await placeOf.get(tx, { ...key, id })
    if (place) dropped += (await removeOne.run(tx, { ...key, position: place.position })).changes
  }
  return dropped
}

/** A context that was in memory, as `putCompaction` left it. */
export function compactedContext(
  messages: readonly StoredMessage[],
  through: string,
  summary: StoredMessage,
): StoredMessage[] {
  const end = messages.findIndex((message) => message.id === through) + 1
  return [...messages.slice(0, 1), summary, ...messages.slice(end)]
}

/** What is known of the size of a context; without its tokens when it is not the one that was measured. */
export function contextUsageOf(conversation: {
  context_usage: string | null
  context_version: number
}): ContextUsage | null {
  if (conversation.context_usage === null) return null
  const { version, ...usage } = JSON.parse(conversation.context_usage) as ContextUsage & { version: number }
  return version === conversation.context_version ? usage : { ...usage, tokens: null }
}

/** `context_version` is the one that was measured. */
export async function saveContextUsage(
  tx: Transaction,
  conversation_id: string,
  usage: ContextUsage,
  context_version: number,
): Promise<void> {
  const text = JSON.stringify({ ...usage, version: context_version })
  await putUsage.send(tx, { id: conversation_id, usage: text })
}

async function readCompactions(
  connection: Connection,
  actor: Actor,
  filter: { agent_id: string; conversation_id?: string },
  page: Page,
): Promise<Compaction[]> {
  const sorting = { table: 'compactions', column: 'created_at' } as const
  const { conditions, direction, turned } = await windowOf(connection, actor.organization_id, sorting, page)
  let rows = db
    .selectFrom('compactions')
    .select('data')
    .where('organization_id', '=', actor.organization_id)
    .where('agent_id', '=', filter.agent_id)
    .limit(page.limit)
    .orderBy(direction)
  if (filter.conversation_id !== undefined) rows = rows.where('conversation_id', '=', filter.conversation_id)
  for (const condition of conditions) rows = rows.where(condition)
  const found = (await connection.all(rows)).map((row) => JSON.parse(row.data) as Compaction)
  return turned ? found.toReversed() : found
}

async function readCompaction(
  connection: Connection,
  actor: Actor,
  compaction_id: string,
): Promise<CompactionDetail | null> {
  const row = await recordById.get(connection, { id: compaction_id, org: actor.organization_id })
  if (!row) return null
  const evicted_message_ids = JSON.parse(row.evicted) as string[]
  return { ...(JSON.parse(row.data) as Compaction), evicted_message_ids }
}

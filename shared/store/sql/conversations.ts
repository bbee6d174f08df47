import { filterEach, mapTogether } from '../each.ts'
import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  ConversationFilter,
  ConversationPatch,
  ConversationStore,
  NewConversation,
  NewFork,
} from '../../core/ports/conversation-store.ts'
import type { Conversation, Rewound } from '../../schema/conversation.ts'
import { agentNotFound } from '../../schema/errors.ts'
import type { Page } from '../../schema/page.ts'
import { readAgentRow } from './agent-rows.ts'
import { appendMessages, readContextIds } from './context.ts'
import { appendSeqs, contextSeqs, cutContext, rememberContext, replaceContext } from './context-cuts.ts'
import { isolateBlocks, isolatedBlockIds } from './conversation-blocks.ts'
import {
  type ConversationData,
  type ConversationRow,
  dataOf,
  noSuchConversation,
  readConversationRow,
  type Shared,
} from './conversation-rows.ts'
import type { Database, Transaction } from './database.ts'
import type { Instance } from './instances.ts'
import { takeOver } from './lease.ts'
import { contains, windowOf } from './page.ts'
import type { Connection } from './query.ts'
import { db, portable } from './query.ts'
import { newestSeq } from './reset.ts'
import { pendingApprovalOf } from './tool-approvals.ts'

/** The plus takes a column from SQLite's choice of an index. */
const unindexed = portable<string>({ sqlite: sql`+organization_id`, postgres: sql`organization_id` })

/** Conversations, their forks and rewinds; turns are the business of `SqlTurns`. */
export class SqlConversations implements ConversationStore {
  readonly #database: Database
  readonly #instance: Instance

  constructor(database: Database, instance: Instance) {
    this.#database = database
    this.#instance = instance
  }

  create(actor: Actor, made: NewConversation): Promise<Conversation> {
    return this.#database.write(async (tx) => {
      if (!(await readAgentRow(tx, actor, made.agent_id))) throw agentNotFound()
      const { model, model_settings, override } = made
      const row = await insertRow(tx, actor, made, { model, model_settings, override })
      await appendMessages(tx, actor, made.id, 0, [made.system_message])
      await isolateBlocks(
        tx,
        actor,
        { agent_id: made.agent_id, conversation_id: made.id },
        made.isolated_block_labels,
      )
      return await conversationOf(tx, actor, row)
    })
  }

  get(actor: Actor, conversation_id: string): Promise<Conversation | null> {
    return this.#database.read(async (c) => {
      const [row, others] = await Promise.all([
        readConversationRow(c, actor, conversation_id),
        readOf(c, actor, conversation_id),
      ])
      return row ? { ...conversationIn(row), ...others } : null
    })
  }

  list(actor: Actor, filter: ConversationFilter, page: Page): Promise<Conversation[]> {
    return this.#database.read(async (c) => {
      const column = filter.order_by ?? 'created_at'
      const sorting = { table: 'conversations', column, nullable: column !== 'created_at' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = db
        .selectFrom('conversations')
        .selectAll()
        // An agent's few are found by the agent.
        .where(
          filter.agent_id === undefined ? sql.ref('organization_id') : unindexed,
          '=',
          actor.organization_id,
        )
        .whereRef('id', '<>', 'agent_id')
        .where('deleted_at', 'is', null)
        .where('hidden', '=', 0)
      if (filter.agent_id !== undefined) rows = rows.where('agent_id', '=', filter.agent_id)
      // What is left of an agent whose deletion is under way.
      else rows = rows.where('agent_id', 'not in', db.selectFrom('deletions').select('agent_id'))
      if (filter.summary_search !== undefined)
        rows = rows.where(contains('conversations.summary', filter.summary_search))
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = await mapTogether(
        c,
        await c.all(rows.orderBy(window.direction).limit(page.limit)),
        async (row) => await conversationOf(c, actor, row),
      )
      return window.turned ? found.toReversed() : found
    })
  }

  waiting(actor: Actor, agent_id: string): Promise<string[]> {
    return this.#database.read(async (c) =>
      (
        await filterEach(
          await c.all(
            db
              .selectFrom('conversations')
              .select('id')
              .where('agent_id', '=', agent_id)
              .where('deleted_at', 'is', null)
              .orderBy('created_at'),
          ),
          async ({ id }) => (await pendingApprovalOf(c, actor, id)) !== null,
        )
      ).map(({ id }) => id),
    )
  }

  update(actor: Actor, conversation_id: string, patch: ConversationPatch): Promise<Conversation | null> {
    return this.#database.write(async (tx) => {
      const row = await readConversationRow(tx, actor, conversation_id)
      if (!row) return null
      const { summary = row.summary, last_message_at = row.last_message_at, ...own } = patch
      const data: ConversationData = { ...dataOf(row), ...own, last_updated_by_id: actor.user_id }
      const changed = {
        summary,
        last_message_at,
        updated_at: new Date().toISOString(),
        data: JSON.stringify(data),
      }
      await tx.send(db.updateTable('conversations').set(changed).where('id', '=', conversation_id))
      await tx.event(actor, 'conversation.updated', conversation_id, row.agent_id)
      return await conversationOf(tx, actor, { ...row, ...changed })
    })
  }

  delete(actor: Actor, conversation_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => {
      const row = await readConversationRow(tx, actor, conversation_id)
      if (!row || row.id === row.agent_id) return false
      const deleted_at = new Date().toISOString()
      await tx.send(db.updateTable('conversations').set({ deleted_at }).where('id', '=', conversation_id))
      await tx.event(actor, 'conversation.deleted', conversation_id, row.agent_id)
      return true
    })
  }

  fork(actor: Actor, conversation_id: string, fork: NewFork): Promise<Conversation> {
    return this.#database.write(async (tx) => {
      const source = await existing(tx, actor, conversation_id)
      const whole = await contextSeqs(tx, actor, source.id)
      const seqs =
        fork.message_id === null
          ? whole
          : await cutContext(tx, actor, source, { message_id: fork.message_id, end: 'with' })
      const { model, model_settings, override, shared = [] } = dataOf(source)
      const system = whole[0] ?? 0
      const up_to =
        fork.message_id === null ? await newestSeq(tx, source.id) : seqs.reduce((a, b) => Math.max(a, b), 0)
      const own: Shared = { conversation_id: source.id, after: source.history_start, up_to, system }
      const data: ConversationData = {
        ...(model === undefined ? {} : { model }),
        ...(model_settings === undefined ? {} : { model_settings }),
        ...(override ? { override } : {}),
        shared: [own, ...shared.map((part) => ({ ...part, up_to: Math.min(part.up_to, up_to) }))],
      }
      const row = await insertRow(
        tx,
        actor,
        { ...fork, agent_id: source.agent_id, summary: source.summary },
        data,
        seqs.length,
      )
      await appendMessages(tx, actor, fork.id, 0, [fork.system_message])
      await appendSeqs(tx, actor, fork.id, 1, seqs.slice(1))
      return await conversationOf(tx, actor, row)
    })
  }

  rewind(actor: Actor, conversation_id: string, message_id: string): Promise<Rewound> {
    return this.#database.write(async (tx) => {
      await this.#instance.lock()
      const row = await existing(tx, actor, conversation_id)
      await takeOver(tx, this.#instance, row)
      const seqs = await cutContext(tx, actor, row, { message_id, end: 'with' })
      const last = await tx.get(
        db
          .selectFrom('context_messages')
          .innerJoin('messages', 'messages.seq', 'context_messages.message_seq')
          .select('messages.id')
          .where('context_messages.conversation_id', '=', conversation_id)
          .orderBy('context_messages.position', 'desc')
          .limit(1),
      )
      await rememberContext(tx, actor, conversation_id)
      const { length, end, removed, restored } = await replaceContext(tx, actor, row, seqs)
      const changed = {
        epoch: row.epoch + 1,
        run_id: null,
        instance_id: null,
        context_version: row.context_version + 1,
        context_length: length,
        context_end: end,
        context_usage: null,
        updated_at: new Date().toISOString(),
      }
      await tx.send(db.updateTable('conversations').set(changed).where('id', '=', conversation_id))
      const type = row.id === row.agent_id ? 'agent.updated' : 'conversation.updated'
      await tx.event(actor, type, conversation_id, row.agent_id)
      return {
        conversation: await conversationOf(tx, actor, { ...row, ...changed }),
        undo_message_id: last?.id ?? message_id,
        removed,
        restored,
      }
    })
  }
}

async function existing(tx: Transaction, actor: Actor, id: string): Promise<ConversationRow> {
  const row = await readConversationRow(tx, actor, id)
  if (!row || !(await readAgentRow(tx, actor, row.agent_id))) throw noSuchConversation(id)
  return row
}

async function insertRow(
  tx: Transaction,
  actor: Actor,
  made: Pick<NewConversation, 'id' | 'agent_id' | 'created_at' | 'summary' | 'hidden'>,
  data: ConversationData,
  length = 1,
): Promise<ConversationRow> {
  const by = { created_by_id: actor.user_id, last_updated_by_id: actor.user_id }
  const row: ConversationRow = {
    id: made.id,
    organization_id: actor.organization_id,
    agent_id: made.agent_id,
    created_at: made.created_at,
    epoch: 0,
    run_id: null,
    instance_id: null,
    last_run_id: null,
    last_request: null,
    context_version: 0,
    context_length: length,
    context_end: length,
    // Shared messages count where they were written.
    message_count: 1,
    context_usage: null,
    updated_at: made.created_at,
    last_message_at: null,
    last_run_completion: null,
    summary: made.summary,
    hidden: Number(made.hidden),
    deleted_at: null,
    history_start: 0,
    data: JSON.stringify({ ...data, ...by }),
  }
  await tx.send(db.insertInto('conversations').values(row))
  await tx.event(actor, 'conversation.created', row.id, row.agent_id)
  return row
}

async function conversationOf(
  connection: Connection,
  actor: Actor,
  row: ConversationRow,
): Promise<Conversation> {
  return { ...conversationIn(row), ...(await readOf(connection, actor, row.id)) }
}

/** What a conversation has in other tables, asked together. */
async function readOf(connection: Connection, actor: Actor, id: string) {
  const [in_context_message_ids, isolated_block_ids, pending] = await Promise.all([
    readContextIds(connection, actor, id),
    isolatedBlockIds(connection, id),
    pendingApprovalOf(connection, actor, id),
  ])
  return { in_context_message_ids, isolated_block_ids, pending_request_id: pending?.id ?? null }
}

function conversationIn(row: ConversationRow) {
  const data = dataOf(row)
  return {
    id: row.id,
    agent_id: row.agent_id,
    summary: row.summary,
    model: data.model ?? null,
    model_settings: data.model_settings ?? null,
    last_message_at: row.last_message_at,
    created_at: row.created_at,
    updated_at: row.updated_at ?? row.created_at,
    created_by_id: data.created_by_id ?? null,
    last_updated_by_id: data.last_updated_by_id ?? null,
  }
}

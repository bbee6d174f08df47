import { sql } from 'kysely'
import { query, db } from './query.ts'

/** The whole row of a conversation. */
export const conversationById = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('conversations').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
/** Messages of an agent, in all its conversations. */
export const storedCount = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('conversations')
    .select((eb) => eb.fn.sum<number>('message_count').as('n'))
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org),
)
/** Writes what a turn changes of its conversation: lease, context and counts. */
export const updateConversation = query<{
  id: string
  epoch: number
  run: string | null
  instance: string | null
  version: number
  length: number
  end: number
  count: number
  last_run: string | null
  last_request: string | null
  /** When a message came, and when a run ended; absent: as it was. */
  message_at?: string
  completed_at?: string
}>()((p) =>
  db
    .updateTable('conversations')
    .set({
      last_message_at: sql`coalesce(${p.message_at}, last_message_at)`,
      last_run_completion: sql`coalesce(${p.completed_at}, last_run_completion)`,
      epoch: p.epoch,
      run_id: p.run,
      instance_id: p.instance,
      context_version: p.version,
      context_length: p.length,
      context_end: p.end,
      message_count: p.count,
      last_run_id: p.last_run,
      last_request: p.last_request,
    })
    .where('id', '=', p.id),
)
/** The system message of a conversation. */
export const firstInContext = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('context_messages')
    .innerJoin('messages', 'messages.seq', 'context_messages.message_seq')
    .select('messages.id')
    .where('context_messages.conversation_id', '=', p.id)
    .where('context_messages.organization_id', '=', p.org)
    .orderBy('context_messages.position')
    .limit(1),
)
/** Ends a run. */
export const finishRun = query<{
  id: string
  status: string
  stop: string
  at: string
  ttft: number | null
  duration: number
  metadata: string | null
}>()((p) =>
  db
    .updateTable('runs')
    .set({
      status: p.status,
      stop_reason: p.stop,
      completed_at: p.at,
      ttft_ns: p.ttft,
      total_duration_ns: p.duration,
      metadata: p.metadata,
    })
    .where('id', '=', p.id),
)
/** Keeps of an agent how its last run ended. */
export const finishAgent = query<{ id: string; at: string; ms: number; stop: string }>()((p) =>
  db
    .updateTable('agents')
    .set({ last_run_completion: p.at, last_run_duration_ms: p.ms, last_stop_reason: p.stop })
    .where('id', '=', p.id),
)

/** A conversation as it is stored. */
export type Conversation = NonNullable<Awaited<ReturnType<typeof conversationById.get>>>

/** A conversation as `updateConversation` takes it, with nothing changed. */
export function rowOf(conversation: Conversation) {
  return {
    id: conversation.id,
    epoch: conversation.epoch,
    run: conversation.run_id,
    instance: conversation.instance_id,
    version: conversation.context_version,
    length: conversation.context_length,
    end: conversation.context_end,
    count: conversation.message_count,
    last_run: conversation.last_run_id,
    last_request: conversation.last_request,
  }
}

import type { Actor } from '../../core/ports/actor.ts'
import type { BroughtAgent, BroughtConversation } from '../../core/ports/migration-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { SecretKeys } from '../secret-box.ts'
import { insertAgent, readAgentRow } from './agent-rows.ts'
import { replaceSecrets } from './agent-secrets.ts'
import { readContextIds } from './context.ts'
import type { ConversationData } from './conversation-rows.ts'
import type { Transaction } from './database.ts'
import { BROUGHT } from './deletions.ts'
import { linkFolder, putState } from './file-links.ts'
import { linkIdentity } from './identity-rows.ts'
import { linkBlock, linkTool, replaceAgentTags } from './links.ts'
import { insertMessage } from './messages.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'

const seqOf = query<{ id: string; agent: string }>()((p) =>
  sqlite
    .selectFrom('messages')
    .select(['seq', 'role'])
    .where('id', '=', p.id)
    .where('agent_id', '=', p.agent),
)
const place = query<{ conversation: string; position: number; seq: number; org: string }>()((p) =>
  sqlite.insertInto('context_messages').values({
    conversation_id: p.conversation,
    position: p.position,
    message_seq: p.seq,
    organization_id: p.org,
  }),
)
/** What was said after the last message that was brought; a prompt that was compiled anew says nothing. */
const saidSince = query<{ conversation: string }>()((p) =>
  sqlite
    .selectFrom('messages')
    .select('id')
    .where('conversation_id', '=', p.conversation)
    .where('role', '<>', 'system')
    .where('seq', '>', (eb) =>
      eb
        .selectFrom('brought_histories')
        .innerJoin('messages as last', 'last.id', 'brought_histories.last_message_id')
        .select('last.seq')
        .where('brought_histories.conversation_id', '=', p.conversation),
    )
    .limit(1),
)
const stored = query<{ conversation: string }>()((p) =>
  sqlite
    .selectFrom('messages')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('conversation_id', '=', p.conversation),
)

/** Announces an agent that is not there yet. Throws `conflict` when its id is somebody else's. */
export function stageAgent(tx: Transaction, actor: Actor, agent_id: string): void {
  const { organization_id } = actor
  if (readAgentRow(tx, actor, agent_id)) return
  const row = tx.get(sqlite.selectFrom('deletions').selectAll().where('agent_id', '=', agent_id))
  const agent = tx.get(sqlite.selectFrom('agents').select('id').where('id', '=', agent_id))
  const free = row?.instance_id === BROUGHT && row.organization_id === organization_id
  if (agent || (row && !free))
    throw new AppError('conflict', `The id '${agent_id}' is taken here, or still being deleted.`)
  if (!row) tx.run(sqlite.insertInto('deletions').values({ agent_id, organization_id, instance_id: BROUGHT }))
}

/** Whether somebody went on here with a conversation that was brought. */
export function wentOn(connection: Connection, conversation: string): boolean {
  return saidSince.get(connection, { conversation }) !== undefined
}

/** As `MigrationStore.putConversation`. */
export function putConversation(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  made: BroughtConversation,
): boolean {
  const { id } = made
  const { organization_id } = actor
  const row = tx.get(sqlite.selectFrom('conversations').selectAll().where('id', '=', id))
  if (row && (row.organization_id !== organization_id || row.agent_id !== agent_id))
    throw new AppError('conflict', `The id '${id}' is that of another conversation here.`)
  // Somebody deleted it here, works with it, or has gone on with it.
  if (row && (row.deleted_at !== null || row.instance_id !== null)) return false
  if (row && wentOn(tx, id)) return false
  const seqs = contextOf(tx, actor, agent_id, made)
  const before = row ? readContextIds(tx, actor, id) : []
  const there = made.message_ids.filter((message) => seqOf.get(tx, { id: message, agent: agent_id }))
  if (row && before.join() === there.join()) return true
  tx.run(sqlite.deleteFrom('context_messages').where('conversation_id', '=', id))
  for (const [position, seq] of seqs.entries())
    place.run(tx, { conversation: id, position, seq, org: organization_id })
  const message_count = stored.get(tx, { conversation: id })?.n ?? 0
  const context = { context_length: seqs.length, context_end: seqs.length, message_count }
  if (row) {
    const { context_version } = row
    const changed = { ...context, context_version: context_version + 1, context_usage: null }
    tx.run(sqlite.updateTable('conversations').set(changed).where('id', '=', id))
    tx.event(actor, id === agent_id ? 'agent.updated' : 'conversation.updated', id, agent_id)
    return true
  }
  const { summary, created_at, updated_at, last_message_at, model, model_settings } = made
  const by = { created_by_id: actor.user_id, last_updated_by_id: actor.user_id }
  const data: ConversationData = id === agent_id ? {} : { model, model_settings, ...by }
  tx.run(
    sqlite.insertInto('conversations').values({
      id,
      organization_id,
      agent_id,
      created_at,
      updated_at,
      last_message_at,
      summary,
      run_id: null,
      instance_id: null,
      ...context,
      data: JSON.stringify(data),
    }),
  )
  isolate(tx, actor, made)
  if (id !== agent_id) tx.event(actor, 'conversation.created', id, agent_id)
  return true
}

/** The numbers of a context's messages; it begins with a system message. */
function contextOf(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  { message_ids, system_message }: BroughtConversation,
): number[] {
  const rows = message_ids.flatMap((id) => seqOf.get(tx, { id, agent: agent_id }) ?? [])
  const seqs = rows.map((row) => row.seq)
  if (rows[0]?.role === 'system') return seqs
  const known = seqOf.get(tx, { id: system_message.id, agent: agent_id })
  return [known?.seq ?? insertMessage(tx, actor, system_message).seq, ...seqs]
}

function isolate(tx: Transaction, actor: Actor, { id, isolated_block_ids }: BroughtConversation): void {
  const { organization_id } = actor
  for (const [position, block_id] of isolated_block_ids.entries()) {
    const block = tx.get(
      sqlite
        .selectFrom('blocks')
        .select('label')
        .where('id', '=', block_id)
        .where('organization_id', '=', organization_id),
    )
    const label = block?.label
    if (label == null) continue
    const values = { conversation_id: id, block_id, organization_id, position, label }
    tx.run(sqlite.insertInto('conversations_blocks').values(values))
  }
}

/** Makes a staged agent visible; its conversations are there. */
export function completeAgent(
  tx: Transaction,
  actor: Actor,
  made: BroughtAgent,
  keys: SecretKeys | null,
): void {
  const { agent, tags, block_ids, tool_ids, folder_ids, links, archive_ids, identity_ids, secrets } = made
  const { organization_id } = actor
  stageAgent(tx, actor, agent.id)
  tx.run(sqlite.deleteFrom('deletions').where('agent_id', '=', agent.id))
  insertAgent(tx, actor, agent)
  replaceAgentTags(tx, actor, agent.id, tags)
  for (const id of block_ids) linkBlock(tx, actor, agent.id, id)
  for (const id of folder_ids) linkFolder(tx, actor, agent.id, id)
  if (folder_ids.length > 0) {
    tx.run(sqlite.deleteFrom('agents_tools').where('agent_id', '=', agent.id))
    tx.run(sqlite.deleteFrom('agents_files').where('agent_id', '=', agent.id))
  }
  for (const [position, id] of tool_ids.entries()) linkTool(tx, actor, agent.id, id, position)
  for (const { is_open, file_id, folder_id, ...link } of links)
    putState(tx, actor, { agent_id: agent.id, file_id, folder_id }, { is_open: Number(is_open), ...link })
  for (const [position, archive_id] of archive_ids.entries())
    tx.run(
      sqlite
        .insertInto('archives_agents')
        .values({ agent_id: agent.id, archive_id, organization_id, position })
        .onConflict((conflict) => conflict.doNothing()),
    )
  for (const id of identity_ids) linkIdentity(tx, actor, id, { agent_id: agent.id })
  if (keys) replaceSecrets(tx, actor, agent.id, secrets, keys)
  tx.event(actor, 'agent.created', agent.id, agent.id)
}

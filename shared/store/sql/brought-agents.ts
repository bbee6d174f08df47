import { filterEach, flatMapEach } from '../each.ts'
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
import { query, db } from './query.ts'

const seqOf = query<{ id: string; agent: string }>()((p) =>
  db.selectFrom('messages').select(['seq', 'role']).where('id', '=', p.id).where('agent_id', '=', p.agent),
)
const place = query<{ conversation: string; position: number; seq: number; org: string }>()((p) =>
  db.insertInto('context_messages').values({
    conversation_id: p.conversation,
    position: p.position,
    message_seq: p.seq,
    organization_id: p.org,
  }),
)
/** What was said after the last message that was brought; a prompt that was compiled anew says nothing. */
const saidSince = query<{ conversation: string }>()((p) =>
  db
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
  db
    .selectFrom('messages')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('conversation_id', '=', p.conversation),
)

/** Announces an agent that is not there yet. Throws `conflict` when its id is somebody else's. */
export async function stageAgent(tx: Transaction, actor: Actor, agent_id: string): Promise<void> {
  const { organization_id } = actor
  if (await readAgentRow(tx, actor, agent_id)) return
  const row = await tx.get(db.selectFrom('deletions').selectAll().where('agent_id', '=', agent_id))
  const agent = await tx.get(db.selectFrom('agents').select('id').where('id', '=', agent_id))
  const free = row?.instance_id === BROUGHT && row.organization_id === organization_id
  if (agent || (row && !free))
    throw new AppError('conflict', `The id '${agent_id}' is taken here, or still being deleted.`)
  if (!row)
    await tx.send(db.insertInto('deletions').values({ agent_id, organization_id, instance_id: BROUGHT }))
}

/** Whether somebody went on here with a conversation that was brought. */
export async function wentOn(connection: Connection, conversation: string): Promise<boolean> {
  return (await saidSince.get(connection, { conversation })) !== undefined
}

/** As `MigrationStore.putConversation`. */
export async function putConversation(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  made: BroughtConversation,
): Promise<boolean> {
  const { id } = made
  const { organization_id } = actor
  const row = await tx.get(db.selectFrom('conversations').selectAll().where('id', '=', id))
  if (row && (row.organization_id !== organization_id || row.agent_id !== agent_id))
    throw new AppError('conflict', `The id '${id}' is that of another conversation here.`)
  // Somebody deleted it here, works with it, or has gone on with it.
  if (row && (row.deleted_at !== null || row.instance_id !== null)) return false
  if (row && (await wentOn(tx, id))) return false
  const seqs = await contextOf(tx, actor, agent_id, made)
  const before = row ? await readContextIds(tx, actor, id) : []
  const there = await filterEach(
    made.message_ids,
    async (message) => (await seqOf.get(tx, { id: message, agent: agent_id })) !== undefined,
  )
  if (row && before.join() === there.join()) return true
  await tx.send(db.deleteFrom('context_messages').where('conversation_id', '=', id))
  for (const [position, seq] of seqs.entries())
    await place.send(tx, { conversation: id, position, seq, org: organization_id })
  const message_count = (await stored.get(tx, { conversation: id }))?.n ?? 0
  const context = { context_length: seqs.length, context_end: seqs.length, message_count }
  if (row) {
    const { context_version } = row
    const changed = { ...context, context_version: context_version + 1, context_usage: null }
    await tx.send(db.updateTable('conversations').set(changed).where('id', '=', id))
    await tx.event(actor, id === agent_id ? 'agent.updated' : 'conversation.updated', id, agent_id)
    return true
  }
  const { summary, created_at, updated_at, last_message_at, model, model_settings } = made
  const by = { created_by_id: actor.user_id, last_updated_by_id: actor.user_id }
  const data: ConversationData = id === agent_id ? {} : { model, model_settings, ...by }
  await tx.send(
    db.insertInto('conversations').values({
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
  await isolate(tx, actor, made)
  if (id !== agent_id) await tx.event(actor, 'conversation.created', id, agent_id)
  return true
}

/** The numbers of a context's messages; it begins with a system message. */
async function contextOf(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  { message_ids, system_message }: BroughtConversation,
): Promise<number[]> {
  const rows = await flatMapEach(
    message_ids,
    async (id) => (await seqOf.get(tx, { id, agent: agent_id })) ?? [],
  )
  const seqs = rows.map((row) => row.seq)
  if (rows[0]?.role === 'system') return seqs
  const system = { id: system_message.id, agent: agent_id }
  const known = await seqOf.get(tx, system)
  if (!known) await insertMessage(tx, actor, system_message)
  const first = known ?? (await seqOf.get(tx, system))
  return [...(first ? [first.seq] : []), ...seqs]
}

async function isolate(
  tx: Transaction,
  actor: Actor,
  { id, isolated_block_ids }: BroughtConversation,
): Promise<void> {
  const { organization_id } = actor
  for (const [position, block_id] of isolated_block_ids.entries()) {
    const block = await tx.get(
      db
        .selectFrom('blocks')
        .select('label')
        .where('id', '=', block_id)
        .where('organization_id', '=', organization_id),
    )
    const label = block?.label
    if (label == null) continue
    const values = { conversation_id: id, block_id, organization_id, position, label }
    await tx.send(db.insertInto('conversations_blocks').values(values))
  }
}

/** Makes a staged agent visible; its conversations are there. */
export async function completeAgent(
  tx: Transaction,
  actor: Actor,
  made: BroughtAgent,
  keys: SecretKeys | null,
): Promise<void> {
  const { agent, tags, block_ids, tool_ids, folder_ids, links, archive_ids, identity_ids, secrets } = made
  const { organization_id } = actor
  await stageAgent(tx, actor, agent.id)
  await tx.send(db.deleteFrom('deletions').where('agent_id', '=', agent.id))
  await insertAgent(tx, actor, agent)
  await replaceAgentTags(tx, actor, agent.id, tags)
  for (const id of block_ids) await linkBlock(tx, actor, agent.id, id)
  for (const id of folder_ids) await linkFolder(tx, actor, agent.id, id)
  if (folder_ids.length > 0) {
    await tx.send(db.deleteFrom('agents_tools').where('agent_id', '=', agent.id))
    await tx.send(db.deleteFrom('agents_files').where('agent_id', '=', agent.id))
  }
  for (const [position, id] of tool_ids.entries()) await linkTool(tx, actor, agent.id, id, position)
  for (const { is_open, file_id, folder_id, ...link } of links)
    await putState(
      tx,
      actor,
      { agent_id: agent.id, file_id, folder_id },
      { is_open: Number(is_open), ...link },
    )
  for (const [position, archive_id] of archive_ids.entries())
    await tx.send(
      db
        .insertInto('archives_agents')
        .values({ agent_id: agent.id, archive_id, organization_id, position })
        .onConflict((conflict) => conflict.doNothing()),
    )
  for (const id of identity_ids) await linkIdentity(tx, actor, id, { agent_id: agent.id })
  if (keys) await replaceSecrets(tx, actor, agent.id, secrets, keys)
  await tx.event(actor, 'agent.created', agent.id, agent.id)
}

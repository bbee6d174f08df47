import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { Block, CreateBlock } from '../../schema/block.ts'
import { AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { Transaction } from './database.ts'
import { isConstraint } from './errors.ts'
import type { Connection } from './query.ts'
import { query, db, portable } from './query.ts'
import type { BlockRow } from './tables.ts'

type Data = Pick<
  Block,
  | 'limit'
  | 'template_id'
  | 'base_template_id'
  | 'deployment_id'
  | 'entity_id'
  | 'preserve_on_migration'
  | 'read_only'
  | 'metadata'
>
type Row = Omit<BlockRow, 'seq'> & { tags: string }
type NewRow = Omit<BlockRow, 'seq'>

/** Who changes a block: the user alone, or an agent in a run. */
export interface By {
  agent_id: string | null
  run_id: string | null
}

/** A block's tags as JSON, for `blockOf`. */
export const tagList = portable<string>({
  sqlite: sql`(select json_group_array(tag) from
    (select tag from block_tags where block_id = blocks.id order by position))`,
  postgres: sql`(select coalesce(json_agg(tag order by position), '[]')::text
    from block_tags where block_id = blocks.id)`,
}).as('tags')

const byId = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('blocks')
    .selectAll()
    .select(tagList)
    .where('id', '=', p.id)
    .where('organization_id', '=', p.org),
)
const ofAgent = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('agents_blocks')
    .innerJoin('blocks', 'blocks.id', 'agents_blocks.block_id')
    .selectAll('blocks')
    .select(tagList)
    .where('agents_blocks.agent_id', '=', p.agent)
    .where('blocks.organization_id', '=', p.org)
    .orderBy('agents_blocks.position'),
)
const add = query<NewRow & { seq?: never }>()((p) =>
  db.insertInto('blocks').values({
    id: p.id,
    organization_id: p.organization_id,
    label: p.label,
    value: p.value,
    version: p.version,
    description: p.description,
    template_name: p.template_name,
    is_template: p.is_template,
    project_id: p.project_id,
    hidden: p.hidden,
    created_at: p.created_at,
    updated_at: p.updated_at,
    created_by_id: p.created_by_id,
    last_updated_by_id: p.last_updated_by_id,
    data: p.data,
  }),
)
const setValue = query<{ id: string; value: string; version: number; now: string; user: string }>()((p) =>
  db
    .updateTable('blocks')
    .set({ value: p.value, version: p.version, updated_at: p.now, last_updated_by_id: p.user })
    .where('id', '=', p.id),
)
const addHistory = query<{
  org: string
  block: string
  version: number
  user: string
  agent: string | null
  run: string | null
  before: string | null
  after: string
  changes: string | null
  now: string
}>()((p) =>
  db.insertInto('block_history').values({
    organization_id: p.org,
    block_id: p.block,
    version: p.version,
    user_id: p.user,
    agent_id: p.agent,
    run_id: p.run,
    before: p.before,
    after: p.after,
    changes: p.changes,
    created_at: p.now,
  }),
)
const agentsOf = query<{ block: string }>()((p) =>
  db.selectFrom('agents_blocks').select('agent_id').where('block_id', '=', p.block).limit(2),
)
/** Whose conversation has it for itself. */
const ownerOf = query<{ block: string }>()((p) =>
  db
    .selectFrom('conversations_blocks')
    .innerJoin('conversations', 'conversations.id', 'conversations_blocks.conversation_id')
    .select('conversations.agent_id')
    .where('conversations_blocks.block_id', '=', p.block)
    .limit(1),
)

/** One block of the actor's organisation. */
export async function readBlock(connection: Connection, actor: Actor, id: string): Promise<Block | null> {
  const row = await byId.get(connection, { id, org: actor.organization_id })
  return row ? blockOf(row) : null
}

/** The blocks attached to an agent, in the order they were attached. */
export async function blocksOfAgent(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): Promise<Block[]> {
  return (await ofAgent.all(connection, { agent: agent_id, org: actor.organization_id })).map(blockOf)
}

/** Creates a block with the first row of its history; `agent_id` names the agent it is made for. */
export async function insertBlock(
  tx: Transaction,
  actor: Actor,
  input: CreateBlock,
  agent_id: string | null,
  made: { id?: string; by?: By } = {},
): Promise<Block> {
  const id = made.id ?? newId('block')
  const now = new Date().toISOString()
  const data: Data = {
    limit: input.limit,
    template_id: input.template_id ?? null,
    base_template_id: input.base_template_id ?? null,
    deployment_id: input.deployment_id ?? null,
    entity_id: input.entity_id ?? null,
    preserve_on_migration: input.preserve_on_migration ?? null,
    read_only: input.read_only,
    metadata: input.metadata ?? null,
  }
  const row: NewRow = {
    id,
    organization_id: actor.organization_id,
    label: input.label,
    value: input.value,
    version: 1,
    description: input.description ?? null,
    template_name: input.template_name ?? null,
    is_template: Number(input.is_template),
    project_id: input.project_id ?? null,
    hidden: flag(input.hidden),
    created_at: now,
    updated_at: now,
    created_by_id: actor.user_id,
    last_updated_by_id: actor.user_id,
    data: JSON.stringify(data),
  }
  await add.send(tx, row)
  await addHistory.send(tx, {
    org: actor.organization_id,
    block: id,
    version: 1,
    user: actor.user_id,
    agent: made.by?.agent_id ?? null,
    run: made.by?.run_id ?? null,
    before: null,
    after: input.value,
    changes: null,
    now,
  })
  const tags = input.tags ?? []
  if (tags.length > 0) await replaceTags(tx, actor, id, tags)
  await tx.event(actor, 'block.created', id, agent_id)
  return blockOf({ ...row, tags: JSON.stringify([...new Set(tags)]) })
}

/**
 * Writes a block as it is to be, with its history row, also when nothing differs; the version grows by one. Throws
 * `conflict` when an agent that has it has another block of its new label.
 */
export async function writeBlock(
  tx: Transaction,
  actor: Actor,
  before: Block,
  after: Block,
  by: By,
): Promise<Block> {
  const now = new Date().toISOString()
  const version = before.version + 1
  const changes = changesOf(before, after)
  if (changes) {
    await writeFields(tx, actor, after)
    if (after.label !== before.label) await relabel(tx, before, after.label)
    if (changes['tags']) await replaceTags(tx, actor, after.id, after.tags)
  }
  await setValue.send(tx, { id: before.id, value: after.value, version, now, user: actor.user_id })
  await addHistory.send(tx, {
    org: actor.organization_id,
    block: before.id,
    version,
    user: actor.user_id,
    agent: by.agent_id,
    run: by.run_id,
    before: before.value,
    after: after.value,
    changes: changes && JSON.stringify(changes),
    now,
  })
  await tx.event(actor, 'block.updated', before.id, await soleAgent(tx, before.id))
  return { ...after, tags: [...new Set(after.tags)], version, last_updated_by_id: actor.user_id }
}

/** What differs besides the value; null when nothing does. */
function changesOf(before: Block, after: Block): Record<string, { before: unknown; after: unknown }> | null {
  const changes: Record<string, { before: unknown; after: unknown }> = {}
  for (const key of Object.keys(after) as (keyof Block)[]) {
    if (key === 'value' || key === 'version' || key === 'last_updated_by_id') continue
    if (JSON.stringify(before[key]) === JSON.stringify(after[key])) continue
    changes[key] = { before: before[key], after: after[key] }
  }
  return Object.keys(changes).length === 0 ? null : changes
}

/** Takes the labels from the links of these blocks, so that blocks of one transaction can swap them. */
export async function freeLabels(tx: Transaction, block_ids: readonly string[]): Promise<void> {
  if (block_ids.length === 0) return
  await tx.send(db.updateTable('agents_blocks').set({ label: null }).where('block_id', 'in', block_ids))
}

async function relabel(tx: Transaction, block: Block, label: string | null): Promise<void> {
  try {
    await tx.run(db.updateTable('agents_blocks').set({ label }).where('block_id', '=', block.id))
  } catch (error) {
    if (!isConstraint(error)) throw error
    throw new AppError(
      'conflict',
      `Block '${block.label ?? block.id}' cannot be renamed to '${label}': an agent that has it already has a ` +
        'block of that label. Labels are unique in an agent.',
      { cause: error },
    )
  }
}

/** The agent that has this block, when exactly one has it. */
export async function soleAgent(connection: Connection, block_id: string): Promise<string | null> {
  const agents = await agentsOf.all(connection, { block: block_id })
  const [only] = agents.length === 0 ? await ownerOf.all(connection, { block: block_id }) : agents
  return agents.length > 1 ? null : (only?.agent_id ?? null)
}

/** Writes every field of a block but its value and tags. */
async function writeFields(tx: Transaction, actor: Actor, next: Block): Promise<void> {
  const data: Data = {
    limit: next.limit,
    template_id: next.template_id,
    base_template_id: next.base_template_id,
    deployment_id: next.deployment_id,
    entity_id: next.entity_id,
    preserve_on_migration: next.preserve_on_migration,
    read_only: next.read_only,
    metadata: next.metadata,
  }
  await tx.send(
    db
      .updateTable('blocks')
      .set({
        label: next.label,
        description: next.description,
        template_name: next.template_name,
        is_template: Number(next.is_template),
        project_id: next.project_id,
        hidden: flag(next.hidden),
        updated_at: new Date().toISOString(),
        last_updated_by_id: actor.user_id,
        data: JSON.stringify(data),
      })
      .where('id', '=', next.id),
  )
}

/** Makes these the block's tags. */
async function replaceTags(
  tx: Transaction,
  actor: Actor,
  block_id: string,
  tags: readonly string[],
): Promise<void> {
  await tx.send(db.deleteFrom('block_tags').where('block_id', '=', block_id))
  for (const [position, tag] of [...new Set(tags)].entries()) {
    await tx.send(
      db.insertInto('block_tags').values({ block_id, tag, organization_id: actor.organization_id, position }),
    )
  }
}

/** The block of a row. */
export function blockOf(row: Row): Block {
  const data = JSON.parse(row.data) as Data
  return {
    id: row.id,
    label: row.label,
    value: row.value,
    limit: data.limit,
    project_id: row.project_id,
    template_name: row.template_name,
    is_template: row.is_template === 1,
    template_id: data.template_id,
    base_template_id: data.base_template_id,
    deployment_id: data.deployment_id,
    entity_id: data.entity_id,
    preserve_on_migration: data.preserve_on_migration,
    read_only: data.read_only,
    description: row.description,
    metadata: data.metadata,
    hidden: row.hidden === null ? null : row.hidden === 1,
    tags: JSON.parse(row.tags) as string[],
    created_by_id: row.created_by_id,
    last_updated_by_id: row.last_updated_by_id,
    version: row.version,
  }
}

function flag(value: boolean | null | undefined): number | null {
  return value === null || value === undefined ? null : Number(value)
}

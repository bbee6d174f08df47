import type { Actor } from '../../core/ports/actor.ts'
import type { AgentMigration, Migrated } from '../../core/ports/template-store.ts'
import type { Block } from '../../schema/block.ts'
import type { TemplateBlock } from '../../schema/template.ts'
import { agentOfRow, readAgentRow, rowOfAgent, tagsOfAgent } from './agent-rows.ts'
import { blocksOfAgent, freeLabels, insertBlock, soleAgent, writeBlock } from './block-rows.ts'
import { detachDeleted } from './conversation-blocks.ts'
import type { Transaction } from './database.ts'
import { fileTools, foldersOfAgent, linkFolder, replaceFolders } from './file-links.ts'
import { linkToCompanions, unlinkFromCompanions } from './group-rows.ts'
import { identitiesOfAgent, linkIdentity } from './identity-rows.ts'
import { linkBlock, linkTool, replaceAgentTags, replaceTools, unlinkBlock } from './links.ts'
import { sqlite } from './query.ts'
import { readTemplateRow } from './template-rows.ts'
import { requireApprovals } from './tool-approvals.ts'
import { toolsOfAgent } from './tools.ts'

const BY_USER = { agent_id: null, run_id: null }
/** What a version says of a block, and where the block says that it is from. */
const FIELDS = [
  'label',
  'value',
  'limit',
  'description',
  'read_only',
  'preserve_on_migration',
  'metadata',
  'hidden',
  'tags',
] as const
const ORIGIN = ['template_id', 'base_template_id', 'deployment_id', 'entity_id'] as const

/** Brings an agent to a version of its template. See `TemplateStore.migrate`. */
export function migrateAgent(tx: Transaction, actor: Actor, migration: AgentMigration): Migrated | null {
  const deployment = tx.get(
    sqlite
      .selectFrom('deployments')
      .selectAll()
      .where('id', '=', migration.deployment_id)
      .where('template_id', '=', migration.template_id)
      .where('organization_id', '=', actor.organization_id),
  )
  const row = deployment && readAgentRow(tx, actor, deployment.agent_id)
  if (!deployment || !row || !readTemplateRow(tx, actor, migration.template_id)) return null
  const { agent_id } = deployment
  const before = agentOfRow(row)
  const { id, organization_id, ...columns } = rowOfAgent(actor, {
    ...before,
    ...migration.agent,
    metadata: merged(before.metadata, migration.agent.metadata),
    template_id: migration.to.id,
    base_template_id: migration.template_id,
    updated_at: new Date().toISOString(),
    last_updated_by_id: actor.user_id,
  })
  tx.run(
    sqlite
      .updateTable('agents')
      .set(columns)
      .where('id', '=', id)
      .where('organization_id', '=', organization_id),
  )
  const own = tagsOfAgent(tx, actor, agent_id).filter((tag) => !migration.tags.before.includes(tag))
  replaceAgentTags(tx, actor, agent_id, [...migration.tags.after, ...own])
  const tools = replaceToolsOf(tx, actor, agent_id, migration.tool_ids)
  if (migration.keep_folders) {
    const there = new Set(foldersOfAgent(tx, actor, agent_id).map((folder) => folder.id))
    for (const folder of migration.folder_ids) if (!there.has(folder)) linkFolder(tx, actor, agent_id, folder)
    // Without them an agent cannot read the folders that it keeps.
    if (there.size > 0) for (const tool of fileTools(tx, actor)) linkTool(tx, actor, agent_id, tool)
  } else replaceFolders(tx, actor, agent_id, migration.folder_ids)
  const identities = new Set(identitiesOfAgent(tx, actor, agent_id).map((identity) => identity.id))
  for (const identity of migration.identity_ids)
    if (!identities.has(identity)) linkIdentity(tx, actor, identity, { agent_id })
  if (migration.only_secrets) removeSecrets(tx, agent_id, migration.only_secrets)
  const blocks = migrateBlocks(tx, actor, agent_id, migration)
  const memory_variables = JSON.stringify(migration.memory_variables)
  tx.run(
    sqlite
      .updateTable('deployments')
      .set({ version: migration.to.version, memory_variables })
      .where('id', '=', deployment.id),
  )
  tx.event(actor, 'agent.updated', agent_id, agent_id)
  return { agent_id, from: deployment.version, blocks, tools }
}

function merged(own: Record<string, unknown> | null, more: Record<string, unknown> | null | undefined) {
  return own || more ? { ...own, ...more } : null
}

function replaceToolsOf(tx: Transaction, actor: Actor, agent_id: string, ids: readonly string[]) {
  const before = toolsOfAgent(tx, actor, agent_id)
  replaceTools(tx, actor, agent_id, ids)
  requireApprovals(tx, actor, agent_id, before)
  const had = new Set(before.map(({ id }) => id))
  return {
    added: ids.filter((id) => !had.has(id)).length,
    removed: before.filter(({ id }) => !ids.includes(id)).length,
  }
}

function removeSecrets(tx: Transaction, agent_id: string, names: readonly string[]): void {
  const secrets = sqlite.deleteFrom('agent_secrets').where('agent_id', '=', agent_id)
  tx.run(names.length === 0 ? secrets : secrets.where('name', 'not in', names))
}

/** A block is found by what it was made of, else by its label. */
function migrateBlocks(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  { blocks: wanted, to, template_id, deployment_id, keep_values, delete_blocks }: AgentMigration,
): Migrated['blocks'] {
  const done: Migrated['blocks'] = { made: [], changed: [], kept: [], removed: [] }
  const present = blocksOfAgent(tx, actor, agent_id)
  const found = new Map<TemplateBlock, Block>()
  for (const same of [
    (block: Block, next: TemplateBlock) => block.entity_id === next.entity_id,
    (block: Block, next: TemplateBlock) => block.label === next.label,
  ])
    for (const next of wanted) {
      const taken = new Set(found.values())
      const block = found.has(next) ? undefined : present.find((one) => !taken.has(one) && same(one, next))
      if (block) found.set(next, block)
    }
  const others = present.filter((block) => ![...found.values()].includes(block))
  if (delete_blocks)
    for (const block of others) {
      remove(tx, actor, agent_id, block, deployment_id)
      done.removed.push(block.label ?? block.id)
    }
  const origin = { template_id: to.id, base_template_id: template_id, deployment_id }
  const changes = [...found].flatMap(([next, block]) => {
    const keep = keep_values || next.preserve_on_migration === true
    const after: Block = { ...block, ...next, ...(keep ? { value: block.value } : {}), ...origin }
    const list = differ(block, after, FIELDS) ? done.changed : done.kept
    list.push(next.label ?? block.id)
    return differ(block, after, [...FIELDS, ...ORIGIN]) ? [{ block, after }] : []
  })
  freeLabels(
    tx,
    changes.flatMap(({ block, after }) => (block.label === after.label ? [] : [block.id])),
  )
  for (const { block, after } of changes) writeBlock(tx, actor, block, after, BY_USER)
  for (const next of wanted)
    if (!found.has(next)) {
      const { label, tags, ...rest } = next
      const made = insertBlock(
        tx,
        actor,
        { ...rest, ...origin, label: label ?? '', tags: [...tags], is_template: false },
        agent_id,
      )
      if (linkBlock(tx, actor, agent_id, made.id)) tx.event(actor, 'block.attached', made.id, agent_id)
      linkToCompanions(tx, actor, agent_id, made.id)
      done.made.push(label ?? made.id)
    }
  return done
}

function differ(one: Block, other: Block, fields: readonly (keyof Block)[]): boolean {
  return fields.some((field) => JSON.stringify(one[field]) !== JSON.stringify(other[field]))
}

/** Takes a block from an agent; one that was made for it goes, unless others have it by now. */
function remove(tx: Transaction, actor: Actor, agent_id: string, block: Block, deployment_id: string): void {
  unlinkFromCompanions(tx, actor, agent_id, block.id)
  const isOwn = block.deployment_id === deployment_id && soleAgent(tx, block.id) === agent_id
  unlinkBlock(tx, agent_id, block.id)
  tx.event(actor, 'block.detached', block.id, agent_id)
  if (!isOwn) return
  const own = sqlite.deleteFrom('blocks').where('id', '=', block.id)
  tx.run(own.where('organization_id', '=', actor.organization_id))
  detachDeleted(tx, block.id)
  tx.event(actor, 'block.deleted', block.id, agent_id)
}

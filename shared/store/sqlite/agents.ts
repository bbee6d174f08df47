import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  AgentFilter,
  AgentPatch,
  AgentStore,
  Companion,
  NewAgent,
  TagFilter,
} from '../../core/ports/agent-store.ts'
import type { BlockConflict, BlockEdit } from '../../core/ports/turn-store.ts'
import type { Agent, AgentRelation } from '../../schema/agent.ts'
import { agentNotFound, AppError, isAppError } from '../../schema/errors.ts'
import type { Page } from '../../schema/page.ts'
import type { BareAgent } from './agent-rows.ts'
import { agentOfRow, insertAgent, readAgentRow, rowOfAgent, tagsOfAgent } from './agent-rows.ts'
import { blocksOfAgent, insertBlock } from './block-rows.ts'
import { appendMessages, readContextIds } from './context.ts'
import type { Database, Transaction } from './database.ts'
import { foldersOfAgent, linkFolder, replaceFolders } from './file-links.ts'
import { finishDeletion } from './deletions.ts'
import {
  companionsOf,
  groupManagedBy,
  hasCompanions,
  insertGroup,
  leaveGroups,
  linkToCompanions,
  unlinkFromCompanions,
} from './group-rows.ts'
import {
  asksForIdentity,
  identitiesOfAgent,
  linkIdentity,
  ofIdentity,
  replaceIdentities,
} from './identity-rows.ts'
import {
  linkBlock,
  linkNewBlock,
  linkTool,
  replaceAgentTags,
  replaceBlocks,
  replaceTools,
  unlinkBlock,
  unlinkTool,
} from './links.ts'
import { contains, windowOf } from './page.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'
import { applyEdits } from './step-edits.ts'
import type { AgentRow } from './tables.ts'
import { readTags } from './tags.ts'
import { type SecretBox, SecretKeys } from '../secret-box.ts'
import { insertDeployment } from './template-rows.ts'
import { replaceSecrets, secretsOfAgent } from './agent-secrets.ts'
import { pendingApprovalOf, requireApprovals, setToolApproval } from './tool-approvals.ts'
import { toolsOfAgent } from './tools.ts'

const addConversation = query<{ id: string; org: string; agent: string; now: string; messages: number }>()(
  (p) =>
    sqlite.insertInto('conversations').values({
      id: p.id,
      organization_id: p.org,
      agent_id: p.agent,
      created_at: p.now,
      run_id: null,
      instance_id: null,
      context_length: p.messages,
      context_end: p.messages,
      message_count: p.messages,
    }),
)

const ALL: readonly AgentRelation[] = ['agent.sources', 'agent.blocks', 'agent.tools', 'agent.tags']
const CHANGED: readonly AgentRelation[] = [
  ...ALL,
  'agent.identities',
  'agent.managed_group',
  'agent.pending_approval',
]

/** Agents with their blocks, tools, tags and default conversation. */
export class SqliteAgents implements AgentStore {
  readonly #database: Database
  readonly #box: SecretBox

  constructor(database: Database, box: SecretBox) {
    this.#database = database
    this.#box = box
  }

  async create(actor: Actor, agent: NewAgent): Promise<Agent> {
    const keys = await keysToWrite(this.#box, agent.secrets)
    return this.#database.write((tx) => {
      insertWhole(tx, actor, agent)
      if (keys && agent.secrets) replaceSecrets(tx, actor, agent.agent.id, agent.secrets, keys)
      const { identity_ids } = agent.agent
      const relations = identity_ids.length > 0 ? [...ALL, 'agent.identities' as const] : ALL
      const made = {
        ...withRelations(tx, actor, agent.agent, relations),
        ...(keys ? { secrets: secretsOfAgent(tx, actor, agent.agent.id, keys) } : {}),
      }
      if (!agent.companion) return made
      insertCompanion(tx, actor, made.id, agent.companion)
      return { ...made, enable_sleeptime: true, managed_group: groupManagedBy(tx, actor, made.id) }
    })
  }

  addCompanion(actor: Actor, agent_id: string, companion: Companion): Promise<void> {
    return this.#change(actor, agent_id, (tx) => {
      const managed = groupManagedBy(tx, actor, agent_id)
      if (!managed || !hasCompanions(managed.manager_type)) insertCompanion(tx, actor, agent_id, companion)
    })
  }

  async get(actor: Actor, agent_id: string, relations: readonly AgentRelation[]): Promise<Agent | null> {
    const keys = relations.includes('agent.secrets') ? await this.#box.keys() : null
    return this.#database.read((c) => {
      const row = readAgentRow(c, actor, agent_id)
      return row ? withRelations(c, actor, agentOfRow(row), relations, keys) : null
    })
  }

  async list(
    actor: Actor,
    filter: AgentFilter,
    page: Page,
    relations: readonly AgentRelation[],
  ): Promise<Agent[]> {
    const keys = relations.includes('agent.secrets') ? await this.#box.keys() : null
    return this.#database.read((c) => {
      const column = filter.order_by ?? 'created_at'
      const sorting = { table: 'agents', column, nullable: column === 'last_run_completion' } as const
      const window = windowOf(c, actor.organization_id, sorting, page)
      let rows = filtered(actor, filter).selectAll('agents')
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = c
        .all(rows.orderBy(window.direction).limit(page.limit))
        .map((row) => withRelations(c, actor, agentOfRow(row), relations, keys))
      return window.turned ? found.toReversed() : found
    })
  }

  count(actor: Actor, filter: AgentFilter): Promise<number> {
    return this.#database.read(
      (c) => c.get(filtered(actor, filter).select((eb) => eb.fn.countAll<number>().as('n')))?.n ?? 0,
    )
  }

  async update(actor: Actor, agent_id: string, patch: AgentPatch): Promise<Agent | null> {
    const keys = (await keysToWrite(this.#box, patch.secrets)) ?? (await this.#box.keys().catch(unreadable))
    return this.#database.write((tx) => {
      const row = readAgentRow(tx, actor, agent_id)
      if (!row) return null
      const { block_ids, tool_ids, folder_ids, tags, identity_ids, secrets, ...fields } = patch
      const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
      const next: BareAgent = {
        ...agentOfRow(row),
        updated_at: new Date().toISOString(),
        last_updated_by_id: actor.user_id,
        ...given,
      }
      const { id, organization_id, ...columns } = rowOfAgent(actor, next)
      tx.run(
        sqlite
          .updateTable('agents')
          .set(columns)
          .where('id', '=', id)
          .where('organization_id', '=', organization_id),
      )
      if (tags) replaceAgentTags(tx, actor, agent_id, tags)
      if (identity_ids) replaceIdentities(tx, actor, agent_id, identity_ids)
      if (block_ids) replaceBlocksOfTeam(tx, actor, agent_id, block_ids)
      if (tool_ids) {
        const before = toolsOfAgent(tx, actor, agent_id)
        replaceTools(tx, actor, agent_id, tool_ids)
        requireApprovals(tx, actor, agent_id, before)
      }
      if (folder_ids) replaceFolders(tx, actor, agent_id, folder_ids)
      if (secrets) replaceSecrets(tx, actor, agent_id, secrets, keys)
      tx.event(actor, 'agent.updated', agent_id, agent_id)
      const stored = readAgentRow(tx, actor, agent_id)
      if (!stored) return null
      const changed = withRelations(tx, actor, agentOfRow(stored), CHANGED)
      try {
        return { ...changed, secrets: secretsOfAgent(tx, actor, agent_id, keys) }
      } catch (error) {
        // What was asked for is done; whoever asks for the secrets hears why they are not there.
        if (isAppError(error, 'secrets_unreadable')) return changed
        throw error
      }
    })
  }

  async delete(actor: Actor, agent_id: string): Promise<boolean> {
    const deleted = await this.#database.write((tx) => {
      if (!readAgentRow(tx, actor, agent_id)) return []
      const companions = leaveGroups(tx, actor, agent_id)
      return [agent_id, ...companions].filter((id) => deleteAgent(tx, actor, id))
    })
    const { organization_id } = actor
    for (const id of deleted) await finishDeletion(this.#database, { agent_id: id, organization_id })
    return deleted.length > 0
  }

  attachBlock(actor: Actor, agent_id: string, block_id: string): Promise<void> {
    return this.#change(actor, agent_id, (tx) => {
      if (linkBlock(tx, actor, agent_id, block_id)) tx.event(actor, 'block.attached', block_id, agent_id)
      linkToCompanions(tx, actor, agent_id, block_id)
    })
  }

  detachBlock(actor: Actor, agent_id: string, block_id: string): Promise<void> {
    return this.#change(actor, agent_id, (tx) => {
      if (unlinkBlock(tx, agent_id, block_id)) tx.event(actor, 'block.detached', block_id, agent_id)
      unlinkFromCompanions(tx, actor, agent_id, block_id)
    })
  }

  editBlocks(
    actor: Actor,
    agent_id: string,
    edits: readonly BlockEdit[],
  ): Promise<{ status: 'committed' } | BlockConflict> {
    return this.#database.write((tx) => {
      if (!readAgentRow(tx, actor, agent_id)) throw agentNotFound()
      const by = { agent_id, conversation_id: agent_id, run_id: null }
      return applyEdits(tx, actor, edits, by) ?? { status: 'committed' }
    })
  }

  listTags(actor: Actor, filter: TagFilter, page: Page): Promise<string[]> {
    return this.#database.read((c) => readTags(c, actor, filter, page))
  }

  attachTool(actor: Actor, agent_id: string, tool_id: string): Promise<void> {
    return this.#change(actor, agent_id, (tx) => {
      const before = toolsOfAgent(tx, actor, agent_id)
      if (!linkTool(tx, actor, agent_id, tool_id)) return
      requireApprovals(tx, actor, agent_id, before)
      tx.event(actor, 'tool.attached', tool_id, agent_id)
    })
  }

  setToolApproval(actor: Actor, agent_id: string, tool_name: string, required: boolean): Promise<void> {
    return this.#change(actor, agent_id, (tx) => {
      if (!toolsOfAgent(tx, actor, agent_id).some((tool) => tool.name === tool_name))
        throw new AppError('not_found', `The agent '${agent_id}' has no tool named '${tool_name}'.`)
      setToolApproval(tx, actor, agent_id, tool_name, required)
    })
  }

  detachTool(actor: Actor, agent_id: string, tool_id: string): Promise<void> {
    return this.#change(actor, agent_id, (tx) => {
      if (unlinkTool(tx, agent_id, tool_id)) tx.event(actor, 'tool.detached', tool_id, agent_id)
    })
  }

  #change(actor: Actor, agent_id: string, work: (tx: Transaction) => void): Promise<void> {
    return this.#database.write((tx) => {
      if (!readAgentRow(tx, actor, agent_id)) throw agentNotFound()
      work(tx)
    })
  }
}

/** The keys for new secrets; null when there is nothing to encrypt. */
async function keysToWrite(box: SecretBox, secrets: NewAgent['secrets']): Promise<SecretKeys | null> {
  return secrets && Object.keys(secrets).length > 0 ? box.keysToWrite() : null
}

function unreadable(error: unknown): SecretKeys {
  if (isAppError(error, 'secrets_unreadable')) return new SecretKeys([], '')
  throw error
}

/** An agent with everything but its companion and its secrets. */
function insertWhole(
  tx: Transaction,
  actor: Actor,
  {
    agent,
    tags,
    new_blocks,
    block_ids,
    tool_ids,
    folder_ids = [],
    system_message,
    first_messages = [],
    deployment,
  }: NewAgent,
): void {
  insertAgent(tx, actor, agent)
  replaceAgentTags(tx, actor, agent.id, tags)
  tx.event(actor, 'agent.created', agent.id, agent.id)
  for (const [position, input] of new_blocks.entries())
    linkNewBlock(tx, actor, agent.id, insertBlock(tx, actor, input, agent.id), position)
  for (const id of block_ids) {
    if (linkBlock(tx, actor, agent.id, id)) tx.event(actor, 'block.attached', id, agent.id)
  }
  for (const [position, id] of tool_ids.entries()) linkTool(tx, actor, agent.id, id, position)
  for (const id of folder_ids) linkFolder(tx, actor, agent.id, id)
  for (const id of agent.identity_ids) linkIdentity(tx, actor, id, { agent_id: agent.id })
  addConversation.run(tx, {
    id: agent.id,
    org: actor.organization_id,
    agent: agent.id,
    now: agent.created_at,
    messages: 1 + first_messages.length,
  })
  appendMessages(tx, actor, agent.id, 0, [system_message, ...first_messages])
  if (deployment) insertDeployment(tx, actor, deployment)
}

function insertCompanion(tx: Transaction, actor: Actor, agent_id: string, { agent, group }: Companion): void {
  insertWhole(tx, actor, agent)
  insertGroup(tx, actor, group)
  for (const block of blocksOfAgent(tx, actor, agent_id)) linkToCompanions(tx, actor, agent_id, block.id)
}

/** Makes these an agent's blocks; companions get those that it gets, and lose those that it loses. */
function replaceBlocksOfTeam(tx: Transaction, actor: Actor, agent_id: string, ids: readonly string[]): void {
  const before = companionsOf(tx, actor, agent_id).length > 0 ? blocksOfAgent(tx, actor, agent_id) : null
  replaceBlocks(tx, actor, agent_id, ids)
  if (!before) return
  for (const { id } of before) if (!ids.includes(id)) unlinkFromCompanions(tx, actor, agent_id, id)
  for (const id of ids) linkToCompanions(tx, actor, agent_id, id)
}

/** The agent is gone from now on, its rows soon; false when there was none. */
function deleteAgent(tx: Transaction, actor: Actor, agent_id: string): boolean {
  const agents = sqlite.deleteFrom('agents').where('id', '=', agent_id)
  if (tx.run(agents.where('organization_id', '=', actor.organization_id)) === 0) return false
  // A turn that still runs finds its lease gone.
  tx.run(
    sqlite
      .updateTable('conversations')
      .set((eb) => ({ epoch: eb('epoch', '+', 1), run_id: null, instance_id: null }))
      .where('agent_id', '=', agent_id),
  )
  tx.run(sqlite.insertInto('deletions').values({ agent_id, organization_id: actor.organization_id }))
  tx.event(actor, 'agent.deleted', agent_id, agent_id)
  return true
}

function withRelations(
  connection: Connection,
  actor: Actor,
  agent: BareAgent,
  relations: readonly AgentRelation[],
  keys: SecretKeys | null = null,
): Agent {
  const wants = (relation: AgentRelation) => relations.includes(relation)
  const identities = wants('agent.identities') ? identitiesOfAgent(connection, actor, agent.id) : null
  return {
    ...agent,
    blocks: wants('agent.blocks') ? blocksOfAgent(connection, actor, agent.id) : [],
    tools: wants('agent.tools') ? toolsOfAgent(connection, actor, agent.id) : [],
    tags: wants('agent.tags') ? tagsOfAgent(connection, actor, agent.id) : [],
    ...(identities ? { identities, identity_ids: identities.map(({ id }) => id) } : {}),
    // No relation of V1's: an agent always names its messages.
    message_ids: readContextIds(connection, actor, agent.id),
    ...(wants('agent.pending_approval')
      ? { pending_approval: pendingApprovalOf(connection, actor, agent.id) }
      : {}),
    ...(keys ? { secrets: secretsOfAgent(connection, actor, agent.id, keys) } : {}),
    ...(wants('agent.sources') ? { sources: foldersOfAgent(connection, actor, agent.id) } : {}),
    ...(wants('agent.managed_group') ? { managed_group: groupManagedBy(connection, actor, agent.id) } : {}),
  }
}

function filtered(actor: Actor, filter: AgentFilter) {
  let rows = sqlite.selectFrom('agents').where('agents.organization_id', '=', actor.organization_id)
  const equal: [keyof AgentRow, string | undefined][] = [
    ['name', filter.name],
    ['project_id', filter.project_id],
    ['template_id', filter.template_id],
    ['base_template_id', filter.base_template_id],
    ['last_stop_reason', filter.last_stop_reason],
    ['created_by_id', filter.created_by_id],
  ]
  for (const [column, value] of equal) {
    if (value !== undefined) rows = rows.where(sql.ref(`agents.${column}`), '=', value)
  }
  if (filter.query_text !== undefined) rows = rows.where(contains('agents.name', filter.query_text))
  if (!filter.show_hidden) rows = rows.where((eb) => eb(eb.fn.coalesce('hidden', eb.lit(0)), '=', 0))
  if (filter.tags && filter.tags.length > 0) {
    const wanted = [...new Set(filter.tags)]
    rows = rows.where(
      (eb) =>
        eb
          .selectFrom('agent_tags')
          .select((count) => count.fn.countAll<number>().as('n'))
          .whereRef('agent_tags.agent_id', '=', 'agents.id')
          .where('tag', 'in', wanted),
      '>=',
      filter.match_all_tags ? wanted.length : 1,
    )
  }
  if (asksForIdentity(filter)) {
    rows = rows.where('id', 'in', (eb) =>
      eb
        .selectFrom('identities_agents')
        .innerJoin('identities', 'identities.id', 'identities_agents.identity_id')
        .select('agent_id')
        .where(ofIdentity(filter)),
    )
  }
  if (filter.archive_id !== undefined) {
    rows = rows.where((eb) =>
      eb.exists(
        eb
          .selectFrom('archives_agents')
          .select('agent_id')
          .where('archive_id', '=', filter.archive_id ?? '')
          .whereRef('agent_id', '=', 'agents.id'),
      ),
    )
  }
  if (filter.block_id !== undefined) {
    rows = rows.where('id', 'in', (eb) =>
      eb
        .selectFrom('agents_blocks')
        .select('agent_id')
        .where('block_id', '=', filter.block_id ?? ''),
    )
  }
  return rows
}

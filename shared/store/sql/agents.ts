import { filterEach, mapTogether } from '../each.ts'
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
import { query, db } from './query.ts'
import { applyEdits } from './step-edits.ts'
import type { AgentRow } from './tables.ts'
import { readTags } from './tags.ts'
import { type SecretBox, SecretKeys } from '../secret-box.ts'
import { insertDeployment } from './template-rows.ts'
import { replaceSecrets, secretsOfAgent, unreadSecretsOfAgent } from './agent-secrets.ts'
import { pendingApprovalOf, requireApprovals, setToolApproval } from './tool-approvals.ts'
import { toolsOfAgent } from './tools.ts'

const addConversation = query<{ id: string; org: string; agent: string; now: string; messages: number }>()(
  (p) =>
    db.insertInto('conversations').values({
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
export class SqlAgents implements AgentStore {
  readonly #database: Database
  readonly #box: SecretBox

  constructor(database: Database, box: SecretBox) {
    this.#database = database
    this.#box = box
  }

  async create(actor: Actor, agent: NewAgent): Promise<Agent> {
    const keys = await keysToWrite(this.#box, agent.secrets)
    // Where agents are counted, two at once count each other.
    const options = { guarded: actor.quota === undefined && isAllItsOwn(agent) }
    return this.#database.write(async (tx) => {
      await insertWhole(tx, actor, agent)
      if (keys && agent.secrets) await replaceSecrets(tx, actor, agent.agent.id, agent.secrets, keys)
      const { identity_ids } = agent.agent
      const relations = identity_ids.length > 0 ? [...ALL, 'agent.identities' as const] : ALL
      const made = {
        ...agent.agent,
        ...(await relationsOf(tx, actor, agent.agent.id, relations)),
        ...(keys ? { secrets: await secretsOfAgent(tx, actor, agent.agent.id, keys) } : {}),
      }
      if (!agent.companion) return made
      await insertCompanion(tx, actor, made.id, agent.companion)
      return { ...made, enable_sleeptime: true, managed_group: await groupManagedBy(tx, actor, made.id) }
    }, options)
  }

  addCompanion(actor: Actor, agent_id: string, companion: Companion): Promise<void> {
    return this.#change(actor, agent_id, async (tx) => {
      const managed = await groupManagedBy(tx, actor, agent_id)
      if (!managed || !hasCompanions(managed.manager_type))
        await insertCompanion(tx, actor, agent_id, companion)
    })
  }

  async get(actor: Actor, agent_id: string, relations: readonly AgentRelation[]): Promise<Agent | null> {
    const keys = relations.includes('agent.secrets') ? await this.#box.keys() : null
    return this.#database.read(async (c) => {
      // What is read of an agent that is not there is nothing.
      const [row, related] = await Promise.all([
        readAgentRow(c, actor, agent_id),
        relationsOf(c, actor, agent_id, relations, keys),
      ])
      return row ? { ...agentOfRow(row), ...related } : null
    })
  }

  async list(
    actor: Actor,
    filter: AgentFilter,
    page: Page,
    relations: readonly AgentRelation[],
  ): Promise<Agent[]> {
    const keys = relations.includes('agent.secrets') ? await this.#box.keys() : null
    return this.#database.read(async (c) => {
      const column = filter.order_by ?? 'created_at'
      const sorting = { table: 'agents', column, nullable: column === 'last_run_completion' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = filtered(actor, filter).selectAll('agents')
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = await mapTogether(
        c,
        await c.all(rows.orderBy(window.direction).limit(page.limit)),
        async (row) => ({
          ...agentOfRow(row),
          ...(await relationsOf(c, actor, row.id, relations, keys)),
        }),
      )
      return window.turned ? found.toReversed() : found
    })
  }

  count(actor: Actor, filter: AgentFilter): Promise<number> {
    return this.#database.read(
      async (c) =>
        (await c.get(filtered(actor, filter).select((eb) => eb.fn.countAll<number>().as('n'))))?.n ?? 0,
    )
  }

  async update(actor: Actor, agent_id: string, patch: AgentPatch): Promise<Agent | null> {
    const keys = (await keysToWrite(this.#box, patch.secrets)) ?? (await this.#box.keys().catch(unreadable))
    return this.#database.write(async (tx) => {
      const row = await readAgentRow(tx, actor, agent_id)
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
      await tx.send(
        db
          .updateTable('agents')
          .set(columns)
          .where('id', '=', id)
          .where('organization_id', '=', organization_id),
      )
      if (tags) await replaceAgentTags(tx, actor, agent_id, tags)
      if (identity_ids) await replaceIdentities(tx, actor, agent_id, identity_ids)
      if (block_ids) await replaceBlocksOfTeam(tx, actor, agent_id, block_ids)
      if (tool_ids) {
        const before = await toolsOfAgent(tx, actor, agent_id)
        await replaceTools(tx, actor, agent_id, tool_ids)
        await requireApprovals(tx, actor, agent_id, before)
      }
      if (folder_ids) await replaceFolders(tx, actor, agent_id, folder_ids)
      if (secrets) await replaceSecrets(tx, actor, agent_id, secrets, keys)
      await tx.event(actor, 'agent.updated', agent_id, agent_id)
      const stored = await readAgentRow(tx, actor, agent_id)
      if (!stored) return null
      const changed = { ...agentOfRow(stored), ...(await relationsOf(tx, actor, agent_id, CHANGED)) }
      try {
        return { ...changed, secrets: await secretsOfAgent(tx, actor, agent_id, keys) }
      } catch (error) {
        // What was asked for is done; whoever asks for the secrets hears why they are not there.
        if (!isAppError(error, 'secrets_unreadable')) throw error
        return { ...changed, secrets: await unreadSecretsOfAgent(tx, actor, agent_id) }
      }
    })
  }

  async delete(actor: Actor, agent_id: string): Promise<boolean> {
    const deleted = await this.#database.write(async (tx) => {
      if (!(await readAgentRow(tx, actor, agent_id))) return []
      const companions = await leaveGroups(tx, actor, agent_id)
      return await filterEach([agent_id, ...companions], async (id) => await deleteAgent(tx, actor, id))
    })
    const { organization_id } = actor
    for (const id of deleted) await finishDeletion(this.#database, { agent_id: id, organization_id })
    return deleted.length > 0
  }

  attachBlock(actor: Actor, agent_id: string, block_id: string): Promise<void> {
    return this.#change(actor, agent_id, async (tx) => {
      if (await linkBlock(tx, actor, agent_id, block_id))
        await tx.event(actor, 'block.attached', block_id, agent_id)
      await linkToCompanions(tx, actor, agent_id, block_id)
    })
  }

  detachBlock(actor: Actor, agent_id: string, block_id: string): Promise<void> {
    return this.#change(actor, agent_id, async (tx) => {
      if (await unlinkBlock(tx, agent_id, block_id))
        await tx.event(actor, 'block.detached', block_id, agent_id)
      await unlinkFromCompanions(tx, actor, agent_id, block_id)
    })
  }

  editBlocks(
    actor: Actor,
    agent_id: string,
    edits: readonly BlockEdit[],
  ): Promise<{ status: 'committed' } | BlockConflict> {
    return this.#database.write(async (tx) => {
      if (!(await readAgentRow(tx, actor, agent_id))) throw agentNotFound()
      const by = { agent_id, conversation_id: agent_id, run_id: null }
      return (await applyEdits(tx, actor, edits, by)) ?? { status: 'committed' }
    })
  }

  listTags(actor: Actor, filter: TagFilter, page: Page): Promise<string[]> {
    return this.#database.read(async (c) => await readTags(c, actor, filter, page))
  }

  attachTool(actor: Actor, agent_id: string, tool_id: string): Promise<void> {
    return this.#change(actor, agent_id, async (tx) => {
      const before = await toolsOfAgent(tx, actor, agent_id)
      if (!(await linkTool(tx, actor, agent_id, tool_id))) return
      await requireApprovals(tx, actor, agent_id, before)
      await tx.event(actor, 'tool.attached', tool_id, agent_id)
    })
  }

  setToolApproval(actor: Actor, agent_id: string, tool_name: string, required: boolean): Promise<void> {
    return this.#change(actor, agent_id, async (tx) => {
      if (!(await toolsOfAgent(tx, actor, agent_id)).some((tool) => tool.name === tool_name))
        throw new AppError('not_found', `The agent '${agent_id}' has no tool named '${tool_name}'.`)
      await setToolApproval(tx, actor, agent_id, tool_name, required)
    })
  }

  detachTool(actor: Actor, agent_id: string, tool_id: string): Promise<void> {
    return this.#change(actor, agent_id, async (tx) => {
      if (await unlinkTool(tx, agent_id, tool_id)) await tx.event(actor, 'tool.detached', tool_id, agent_id)
    })
  }

  #change(actor: Actor, agent_id: string, work: (tx: Transaction) => Promise<void>): Promise<void> {
    return this.#database.write(async (tx) => {
      if (!(await readAgentRow(tx, actor, agent_id))) throw agentNotFound()
      await work(tx)
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
async function insertWhole(
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
): Promise<void> {
  await insertAgent(tx, actor, agent)
  await replaceAgentTags(tx, actor, agent.id, tags)
  await tx.event(actor, 'agent.created', agent.id, agent.id)
  for (const [position, input] of new_blocks.entries())
    await linkNewBlock(tx, actor, agent.id, await insertBlock(tx, actor, input, agent.id), position)
  for (const id of block_ids) {
    if (await linkBlock(tx, actor, agent.id, id)) await tx.event(actor, 'block.attached', id, agent.id)
  }
  for (const [position, id] of tool_ids.entries()) await linkTool(tx, actor, agent.id, id, position)
  for (const id of folder_ids) await linkFolder(tx, actor, agent.id, id)
  for (const id of agent.identity_ids) await linkIdentity(tx, actor, id, { agent_id: agent.id })
  await addConversation.send(tx, {
    id: agent.id,
    org: actor.organization_id,
    agent: agent.id,
    now: agent.created_at,
    messages: 1 + first_messages.length,
  })
  await appendMessages(tx, actor, agent.id, 0, [system_message, ...first_messages])
  if (deployment) await insertDeployment(tx, actor, deployment)
}

async function insertCompanion(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  { agent, group }: Companion,
): Promise<void> {
  await insertWhole(tx, actor, agent)
  await insertGroup(tx, actor, group)
  for (const block of await blocksOfAgent(tx, actor, agent_id))
    await linkToCompanions(tx, actor, agent_id, block.id)
}

/** Makes these an agent's blocks; companions get those that it gets, and lose those that it loses. */
async function replaceBlocksOfTeam(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  ids: readonly string[],
): Promise<void> {
  const before =
    (await companionsOf(tx, actor, agent_id)).length > 0 ? await blocksOfAgent(tx, actor, agent_id) : null
  await replaceBlocks(tx, actor, agent_id, ids)
  if (!before) return
  for (const { id } of before) if (!ids.includes(id)) await unlinkFromCompanions(tx, actor, agent_id, id)
  for (const id of ids) await linkToCompanions(tx, actor, agent_id, id)
}

/** The agent is gone from now on, its rows soon; false when there was none. */
async function deleteAgent(tx: Transaction, actor: Actor, agent_id: string): Promise<boolean> {
  const agents = db.deleteFrom('agents').where('id', '=', agent_id)
  if ((await tx.run(agents.where('organization_id', '=', actor.organization_id))) === 0) return false
  // A turn that still runs finds its lease gone.
  await tx.send(
    db
      .updateTable('conversations')
      .set((eb) => ({ epoch: eb('epoch', '+', 1), run_id: null, instance_id: null }))
      .where('agent_id', '=', agent_id),
  )
  await tx.send(db.insertInto('deletions').values({ agent_id, organization_id: actor.organization_id }))
  await tx.event(actor, 'agent.deleted', agent_id, agent_id)
  return true
}

/** What is asked for of an agent, together: on another machine that takes the time of one statement. */
async function relationsOf(
  connection: Connection,
  actor: Actor,
  id: string,
  relations: readonly AgentRelation[],
  keys: SecretKeys | null = null,
): Promise<Omit<Agent, keyof BareAgent> & Partial<Agent>> {
  const wanted = <T>(relation: AgentRelation, read: Read<T>) =>
    relations.includes(relation) ? read(connection, actor, id) : null
  const [message_ids, blocks, tools, tags, identities, pending, secrets, sources, group] = await Promise.all([
    // No relation of V1's: an agent always names its messages.
    readContextIds(connection, actor, id),
    wanted('agent.blocks', blocksOfAgent),
    wanted('agent.tools', toolsOfAgent),
    wanted('agent.tags', tagsOfAgent),
    wanted('agent.identities', identitiesOfAgent),
    wanted('agent.pending_approval', pendingApprovalOf),
    keys && secretsOfAgent(connection, actor, id, keys),
    wanted('agent.sources', foldersOfAgent),
    wanted('agent.managed_group', groupManagedBy),
  ])
  return {
    blocks: blocks ?? [],
    tools: tools ?? [],
    tags: tags ?? [],
    ...(identities ? { identities, identity_ids: identities.map((identity) => identity.id) } : {}),
    message_ids,
    ...(relations.includes('agent.pending_approval') ? { pending_approval: pending } : {}),
    ...(secrets ? { secrets } : {}),
    ...(sources ? { sources } : {}),
    ...(relations.includes('agent.managed_group') ? { managed_group: group } : {}),
  }
}

type Read<T> = (connection: Connection, actor: Actor, agent_id: string) => Promise<T>

function filtered(actor: Actor, filter: AgentFilter) {
  let rows = db.selectFrom('agents').where('agents.organization_id', '=', actor.organization_id)
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

/** Whether a new agent shares nothing that others may change meanwhile, but tools, which its rows refer to. */
function isAllItsOwn({ agent, block_ids, folder_ids = [], companion, deployment }: NewAgent): boolean {
  const shared = [...block_ids, ...folder_ids, ...agent.identity_ids]
  return shared.length === 0 && !companion && !deployment
}

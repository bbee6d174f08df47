import type { Actor } from '../../core/ports/actor.ts'
import type { ImportedAgent, ImportStore, NewImport, StagedMessage } from '../../core/ports/import-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { Tool } from '../../schema/tool.ts'
import { insertAgent } from './agent-rows.ts'
import { insertBlock } from './block-rows.ts'
import type { Database, Transaction } from './database.ts'
import { finishDeletion } from './deletions.ts'
import { isConstraint } from './errors.ts'
import { insertGroup } from './group-rows.ts'
import type { Instance } from './instances.ts'
import { linkBlock, linkTool, replaceAgentTags } from './links.ts'
import { insertMessage } from './messages.ts'
import { query, sqlite } from './query.ts'
import { inSlices } from './slices.ts'
import { rowOfTool } from './tools.ts'

/** Messages that one transaction stores, the first and any. */
const ROWS = { first: 20, most: 200 }

const announce = query<{ agent: string; org: string; instance: string }>()((p) =>
  sqlite
    .insertInto('deletions')
    .values({ agent_id: p.agent, organization_id: p.org, instance_id: p.instance }),
)
const announced = query<{ agent: string; org: string; instance: string }>()((p) =>
  sqlite
    .selectFrom('deletions')
    .select('agent_id')
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org)
    .where('instance_id', '=', p.instance),
)
const place = query<{ conversation: string; position: number; seq: number; org: string }>()((p) =>
  sqlite.insertInto('context_messages').values({
    conversation_id: p.conversation,
    position: p.position,
    message_seq: p.seq,
    organization_id: p.org,
  }),
)

/**
 * Imports. An agent that is announced has a row in `deletions`: until it is complete, its messages are as those of an
 * agent that is being deleted, and become just that when this process dies.
 */
export class SqliteImports implements ImportStore {
  readonly #database: Database
  readonly #instance: Instance

  constructor(database: Database, instance: Instance) {
    this.#database = database
    this.#instance = instance
  }

  begin(actor: Actor, agent_ids: readonly string[]): Promise<void> {
    return this.#database.write((tx) => {
      this.#instance.lock()
      const { id: instance } = this.#instance
      for (const agent of agent_ids) announce.run(tx, { agent, org: actor.organization_id, instance })
    })
  }

  async addMessages(actor: Actor, messages: readonly StagedMessage[]): Promise<void> {
    let from = 0
    await inSlices(this.#database, ROWS, (tx, rows) => {
      const some = messages.slice(from, from + rows)
      for (const agent of new Set(some.map(({ message }) => message.agent_id)))
        this.#require(tx, actor, agent)
      for (const { message, position } of some) {
        const { seq } = insertMessage(tx, actor, message)
        const { conversation_id: conversation } = message
        if (position !== null) place.run(tx, { conversation, position, seq, org: actor.organization_id })
      }
      // `work` runs again after a rollback: nothing but the transaction's success may move this.
      tx.alongside(
        () => {
          from += some.length
        },
        () => {
          from -= some.length
        },
      )
      return from + some.length < messages.length
    })
  }

  complete(actor: Actor, made: NewImport): Promise<void> {
    // Long where a file brings folders: not in the transaction.
    const kept = new Map(made.agents.map(({ agent, kept: own }) => [agent.id, JSON.stringify(own)]))
    return this.#database.write((tx) => {
      for (const { agent } of made.agents) this.#require(tx, actor, agent.id)
      for (const tool of made.new_tools) insertTool(tx, actor, tool)
      for (const tool of made.changed_tools) changeTool(tx, actor, tool)
      for (const { id, block, agent_id } of made.blocks) insertBlock(tx, actor, block, agent_id, { id })
      for (const agent of made.agents) insertWhole(tx, actor, agent, kept.get(agent.agent.id) ?? 'null')
      for (const group of made.groups) insertGroup(tx, actor, group)
    })
  }

  async abandon(actor: Actor, agent_ids: readonly string[]): Promise<void> {
    const { organization_id } = actor
    const { id: instance } = this.#instance
    for (const agent_id of agent_ids) {
      const there = await this.#database.read((c) =>
        announced.get(c, { agent: agent_id, org: organization_id, instance }),
      )
      if (there) await finishDeletion(this.#database, { agent_id, organization_id })
    }
  }

  async kept(actor: Actor, agent_id: string): Promise<unknown> {
    const row = await this.#database.read((c) =>
      c.get(
        sqlite
          .selectFrom('agent_files')
          .select('data')
          .where('agent_id', '=', agent_id)
          .where('organization_id', '=', actor.organization_id),
      ),
    )
    return row ? (JSON.parse(row.data) as unknown) : null
  }

  #require(tx: Transaction, actor: Actor, agent: string): void {
    if (announced.get(tx, { agent, org: actor.organization_id, instance: this.#instance.id })) return
    throw new AppError(
      'conflict',
      'The import stood still for so long that another process gave it up; nothing was imported. Import the file again.',
    )
  }
}

function insertWhole(tx: Transaction, actor: Actor, made: ImportedAgent, data: string): void {
  const { agent, tags, block_ids, tool_ids, message_count, context_length } = made
  const { organization_id } = actor
  tx.run(sqlite.deleteFrom('deletions').where('agent_id', '=', agent.id))
  insertAgent(tx, actor, agent)
  replaceAgentTags(tx, actor, agent.id, tags)
  tx.event(actor, 'agent.created', agent.id, agent.id)
  for (const id of block_ids) linkBlock(tx, actor, agent.id, id)
  for (const [position, id] of tool_ids.entries()) linkTool(tx, actor, agent.id, id, position)
  tx.run(
    sqlite.insertInto('conversations').values({
      id: agent.id,
      organization_id,
      agent_id: agent.id,
      created_at: agent.created_at,
      run_id: null,
      instance_id: null,
      context_length,
      context_end: context_length,
      message_count,
    }),
  )
  tx.run(sqlite.insertInto('agent_files').values({ agent_id: agent.id, organization_id, data }))
}

function insertTool(tx: Transaction, actor: Actor, tool: Tool): void {
  const now = new Date().toISOString()
  try {
    tx.run(sqlite.insertInto('tools').values({ ...rowOfTool(actor, tool), created_at: now, updated_at: now }))
  } catch (error) {
    if (!isConstraint(error)) throw error
    throw new AppError(
      'conflict',
      `A tool named '${tool.name}' was made while the file was imported; nothing was imported. Import it again.`,
      { cause: error },
    )
  }
  tx.event(actor, 'tool.created', tool.id, null)
}

function changeTool(tx: Transaction, actor: Actor, tool: Tool): void {
  const { id, organization_id, created_by_id: _, ...row } = rowOfTool(actor, tool)
  tx.run(
    sqlite
      .updateTable('tools')
      .set({ ...row, updated_at: new Date().toISOString() })
      .where('id', '=', id)
      .where('organization_id', '=', organization_id),
  )
  tx.event(actor, 'tool.updated', id, null)
}

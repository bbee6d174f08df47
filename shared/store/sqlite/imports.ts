import type { Actor } from '../../core/ports/actor.ts'
import type { FileBatch } from '../../core/ports/file-store.ts'
import type {
  ImportedAgent,
  ImportStore,
  NewImport,
  StagedFile,
  StagedMessage,
} from '../../core/ports/import-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { Tool } from '../../schema/tool.ts'
import { pause } from '../pause.ts'
import type { SecretBox } from '../secret-box.ts'
import { insertAgent } from './agent-rows.ts'
import { replaceSecrets } from './agent-secrets.ts'
import { insertBlock } from './block-rows.ts'
import type { Database, Transaction } from './database.ts'
import { finishDeletion } from './deletions.ts'
import { isConstraint } from './errors.ts'
import { insertText } from './file-parts.ts'
import { insertFolder } from './folders.ts'
import { insertGroup } from './group-rows.ts'
import type { Instance } from './instances.ts'
import { linkBlock, linkTool, replaceAgentTags } from './links.ts'
import { insertMessage } from './messages.ts'
import { query, sqlite } from './query.ts'
import { inSlices } from './slices.ts'
import { insertTool, rowOfTool } from './tools.ts'

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
const addSize = query<{ id: string; lines: number; characters: number; chunks: number }>()((p) =>
  sqlite
    .updateTable('files')
    .set((eb) => ({
      lines: eb('lines', '+', p.lines),
      characters: eb('characters', '+', p.characters),
      chunks: eb('chunks', '+', p.chunks),
    }))
    .where('id', '=', p.id),
)
const linkFolder = query<{ agent: string; folder: string; org: string; position: number }>()((p) =>
  sqlite.insertInto('agents_folders').values({
    agent_id: p.agent,
    folder_id: p.folder,
    organization_id: p.org,
    position: p.position,
  }),
)
const linkFile = query<{
  agent: string
  file: string
  folder: string
  org: string
  open: number
  start: number | null
  end: number | null
  accessed: string | null
}>()((p) =>
  sqlite.insertInto('agents_files').values({
    agent_id: p.agent,
    file_id: p.file,
    folder_id: p.folder,
    organization_id: p.org,
    is_open: p.open,
    start_line: p.start,
    end_line: p.end,
    last_accessed_at: p.accessed,
  }),
)

/**
 * Imports. An agent or a folder that is announced has a row in `deletions`: until it is complete, its messages and files
 * are as those of one that is being deleted, and become just that when this process dies.
 */
export class SqliteImports implements ImportStore {
  readonly #database: Database
  readonly #instance: Instance
  readonly #box: SecretBox

  constructor(database: Database, instance: Instance, box: SecretBox) {
    this.#database = database
    this.#instance = instance
    this.#box = box
  }

  begin(actor: Actor, ids: readonly string[]): Promise<void> {
    return this.#database.write((tx) => {
      this.#instance.lock()
      const { id: instance } = this.#instance
      for (const agent of ids) announce.run(tx, { agent, org: actor.organization_id, instance })
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

  async addFile(actor: Actor, file: StagedFile, batches: Iterable<FileBatch>): Promise<void> {
    await this.#database.write((tx) => {
      this.#require(tx, actor, file.folder_id)
      insertStagedFile(tx, actor, file)
    })
    const place = { file_id: file.id, folder_id: file.folder_id, organization_id: actor.organization_id }
    for (const batch of batches) {
      await this.#database.write((tx) => {
        this.#require(tx, actor, file.folder_id)
        insertText(tx, place, batch)
        addFileSize(tx, file.id, batch)
      })
      await pause(0)
    }
  }

  async complete(actor: Actor, made: NewImport): Promise<void> {
    const secret = made.agents.some(({ secrets }) => Object.keys(secrets ?? {}).length > 0)
    const keys = secret ? await this.#box.keysToWrite() : null
    // Long where a file brings folders: not in the transaction.
    const kept = new Map(made.agents.map(({ agent, kept: own }) => [agent.id, JSON.stringify(own)]))
    return this.#database.write((tx) => {
      for (const { agent } of made.agents) this.#require(tx, actor, agent.id)
      for (const { id } of made.folders) this.#require(tx, actor, id)
      for (const folder of made.folders) {
        tx.run(sqlite.deleteFrom('deletions').where('agent_id', '=', folder.id))
        insertFolder(tx, actor, folder)
      }
      for (const tool of made.new_tools) addTool(tx, actor, tool)
      for (const tool of made.changed_tools) changeTool(tx, actor, tool)
      for (const { id, block, agent_id } of made.blocks) insertBlock(tx, actor, block, agent_id, { id })
      for (const agent of made.agents) insertWhole(tx, actor, agent, kept.get(agent.agent.id) ?? 'null')
      if (keys)
        for (const { agent, secrets } of made.agents) replaceSecrets(tx, actor, agent.id, secrets ?? {}, keys)
      for (const group of made.groups) insertGroup(tx, actor, group)
    })
  }

  async abandon(actor: Actor, ids: readonly string[]): Promise<void> {
    const { organization_id } = actor
    const { id: instance } = this.#instance
    for (const agent_id of ids) {
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
  const org = organization_id
  for (const [position, folder] of made.folder_ids.entries())
    linkFolder.run(tx, { agent: agent.id, folder, org, position })
  for (const { file_id: file, folder_id: folder, is_open, ...link } of made.links) {
    const { start_line: start, end_line: end, last_accessed_at: accessed } = link
    linkFile.run(tx, { agent: agent.id, file, folder, org, open: Number(is_open), start, end, accessed })
  }
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

/** Stores the row of a file whose text follows. */
export function insertStagedFile(tx: Transaction, actor: Actor, file: StagedFile): void {
  const now = new Date().toISOString()
  tx.run(
    sqlite.insertInto('files').values({
      ...file,
      organization_id: actor.organization_id,
      instance_id: null,
      created_at: now,
      updated_at: now,
      created_by_id: actor.user_id,
    }),
  )
}

/** Counts a part that was added to a file. */
export function addFileSize(tx: Transaction, file_id: string, batch: FileBatch): void {
  addSize.run(tx, { id: file_id, ...sizeOf(batch) })
}

/** What a part adds to a file; the end of its lines stands between it and the next one. */
function sizeOf({ pieces, chunks }: FileBatch): { lines: number; characters: number; chunks: number } {
  const size = { lines: 0, characters: 0, chunks: chunks.length }
  for (const { text, first_line } of pieces) {
    size.lines += text.split('\n').length
    size.characters += text.length + Number(first_line > 0)
  }
  return size
}

function addTool(tx: Transaction, actor: Actor, tool: Tool): void {
  try {
    insertTool(tx, actor, tool)
  } catch (error) {
    if (!isConstraint(error)) throw error
    throw new AppError(
      'conflict',
      `A tool named '${tool.name}' was made while the file was imported; nothing was imported. Import it again.`,
      { cause: error },
    )
  }
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

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
import { placeMessage } from './context.ts'
import { insertMessage } from './messages.ts'
import { query, db } from './query.ts'
import { inSlices } from './slices.ts'
import { insertTool, rowOfTool } from './tools.ts'

/** Messages that one transaction stores, the first and any. */
const ROWS = { first: 20, most: 200 }

const announce = query<{ agent: string; org: string; instance: string }>()((p) =>
  db.insertInto('deletions').values({ agent_id: p.agent, organization_id: p.org, instance_id: p.instance }),
)
const announced = query<{ agent: string; org: string; instance: string }>()((p) =>
  db
    .selectFrom('deletions')
    .select('agent_id')
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org)
    .where('instance_id', '=', p.instance),
)
const addSize = query<{ id: string; lines: number; characters: number; chunks: number }>()((p) =>
  db
    .updateTable('files')
    .set((eb) => ({
      lines: eb('lines', '+', p.lines),
      characters: eb('characters', '+', p.characters),
      chunks: eb('chunks', '+', p.chunks),
    }))
    .where('id', '=', p.id),
)
const linkFolder = query<{ agent: string; folder: string; org: string; position: number }>()((p) =>
  db.insertInto('agents_folders').values({
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
  db.insertInto('agents_files').values({
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
export class SqlImports implements ImportStore {
  readonly #database: Database
  readonly #instance: Instance
  readonly #box: SecretBox

  constructor(database: Database, instance: Instance, box: SecretBox) {
    this.#database = database
    this.#instance = instance
    this.#box = box
  }

  begin(actor: Actor, ids: readonly string[]): Promise<void> {
    return this.#database.write(async (tx) => {
      await this.#instance.lock()
      const { id: instance } = this.#instance
      for (const agent of ids) await announce.send(tx, { agent, org: actor.organization_id, instance })
    })
  }

  async addMessages(actor: Actor, messages: readonly StagedMessage[]): Promise<void> {
    let from = 0
    await inSlices(this.#database, ROWS, async (tx, rows) => {
      const some = messages.slice(from, from + rows)
      for (const agent of new Set(some.map(({ message }) => message.agent_id)))
        await this.#require(tx, actor, agent)
      for (const { message, position } of some) {
        await insertMessage(tx, actor, message)
        const { conversation_id: conversation } = message
        if (position !== null)
          await placeMessage.send(tx, {
            conversation,
            position,
            message: message.id,
            org: actor.organization_id,
          })
      }
      // `work` runs again after a rollback: nothing but the transaction's success may move this.
      tx.afterwards(
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
    await this.#database.write(async (tx) => {
      await this.#require(tx, actor, file.folder_id)
      await insertStagedFile(tx, actor, file)
    })
    const place = { file_id: file.id, folder_id: file.folder_id, organization_id: actor.organization_id }
    for (const batch of batches) {
      await this.#database.write(async (tx) => {
        await this.#require(tx, actor, file.folder_id)
        await insertText(tx, place, batch)
        await addFileSize(tx, file.id, batch)
      })
      await pause(0)
    }
  }

  async complete(actor: Actor, made: NewImport): Promise<void> {
    const secret = made.agents.some(({ secrets }) => Object.keys(secrets ?? {}).length > 0)
    const keys = secret ? await this.#box.keysToWrite() : null
    // Long where a file brings folders: not in the transaction.
    const kept = new Map(made.agents.map(({ agent, kept: own }) => [agent.id, JSON.stringify(own)]))
    for (const { agent, message_count } of made.agents)
      await this.#database.refreshStatistics(agent.id, message_count)
    await this.#database.write(async (tx) => {
      for (const { agent } of made.agents) await this.#require(tx, actor, agent.id)
      for (const { id } of made.folders) await this.#require(tx, actor, id)
      for (const folder of made.folders) {
        await tx.send(db.deleteFrom('deletions').where('agent_id', '=', folder.id))
        await insertFolder(tx, actor, folder)
      }
      for (const tool of made.new_tools) await addTool(tx, actor, tool)
      for (const tool of made.changed_tools) await changeTool(tx, actor, tool)
      for (const { id, block, agent_id } of made.blocks) await insertBlock(tx, actor, block, agent_id, { id })
      for (const agent of made.agents) await insertWhole(tx, actor, agent, kept.get(agent.agent.id) ?? 'null')
      if (keys)
        for (const { agent, secrets } of made.agents)
          await replaceSecrets(tx, actor, agent.id, secrets ?? {}, keys)
      for (const group of made.groups) await insertGroup(tx, actor, group)
    })
  }

  async abandon(actor: Actor, ids: readonly string[]): Promise<void> {
    const { organization_id } = actor
    const { id: instance } = this.#instance
    for (const agent_id of ids) {
      const there = await this.#database.read(
        async (c) => await announced.get(c, { agent: agent_id, org: organization_id, instance }),
      )
      if (there) await finishDeletion(this.#database, { agent_id, organization_id })
    }
  }

  async kept(actor: Actor, agent_id: string): Promise<unknown> {
    const row = await this.#database.read(
      async (c) =>
        await c.get(
          db
            .selectFrom('agent_files')
            .select('data')
            .where('agent_id', '=', agent_id)
            .where('organization_id', '=', actor.organization_id),
        ),
    )
    return row ? (JSON.parse(row.data) as unknown) : null
  }

  async #require(tx: Transaction, actor: Actor, agent: string): Promise<void> {
    if (await announced.get(tx, { agent, org: actor.organization_id, instance: this.#instance.id })) return
    throw new AppError(
      'conflict',
      'The import stood still for so long that another process gave it up; nothing was imported. Import the file again.',
    )
  }
}

async function insertWhole(tx: Transaction, actor: Actor, made: ImportedAgent, data: string): Promise<void> {
  const { agent, tags, block_ids, tool_ids, message_count, context_length } = made
  const { organization_id } = actor
  await tx.send(db.deleteFrom('deletions').where('agent_id', '=', agent.id))
  await insertAgent(tx, actor, agent)
  await replaceAgentTags(tx, actor, agent.id, tags)
  await tx.event(actor, 'agent.created', agent.id, agent.id)
  for (const id of block_ids) await linkBlock(tx, actor, agent.id, id)
  for (const [position, id] of tool_ids.entries()) await linkTool(tx, actor, agent.id, id, position)
  const org = organization_id
  for (const [position, folder] of made.folder_ids.entries())
    await linkFolder.send(tx, { agent: agent.id, folder, org, position })
  for (const { file_id: file, folder_id: folder, is_open, ...link } of made.links) {
    const { start_line: start, end_line: end, last_accessed_at: accessed } = link
    await linkFile.send(tx, {
      agent: agent.id,
      file,
      folder,
      org,
      open: Number(is_open),
      start,
      end,
      accessed,
    })
  }
  await tx.send(
    db.insertInto('conversations').values({
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
  await tx.send(db.insertInto('agent_files').values({ agent_id: agent.id, organization_id, data }))
}

/** Stores the row of a file whose text follows. */
export async function insertStagedFile(tx: Transaction, actor: Actor, file: StagedFile): Promise<void> {
  const now = new Date().toISOString()
  await tx.send(
    db.insertInto('files').values({
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
export async function addFileSize(tx: Transaction, file_id: string, batch: FileBatch): Promise<void> {
  await addSize.send(tx, { id: file_id, ...sizeOf(batch) })
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

async function addTool(tx: Transaction, actor: Actor, tool: Tool): Promise<void> {
  try {
    await insertTool(tx, actor, tool)
  } catch (error) {
    if (!isConstraint(error)) throw error
    throw new AppError(
      'conflict',
      `A tool named '${tool.name}' was made while the file was imported; nothing was imported. Import it again.`,
      { cause: error },
    )
  }
}

async function changeTool(tx: Transaction, actor: Actor, tool: Tool): Promise<void> {
  const { id, organization_id, created_by_id: _, ...row } = rowOfTool(actor, tool)
  await tx.send(
    db
      .updateTable('tools')
      .set({ ...row, updated_at: new Date().toISOString() })
      .where('id', '=', id)
      .where('organization_id', '=', organization_id),
  )
  await tx.event(actor, 'tool.updated', id, null)
}

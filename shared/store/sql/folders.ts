import { mapEach } from '../each.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { FolderFilter, FolderPatch, FolderStore } from '../../core/ports/folder-store.ts'
import { agentNotFound, AppError } from '../../schema/errors.ts'
import type { Folder, FolderStats } from '../../schema/folder.ts'
import type { Page } from '../../schema/page.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Database, Transaction } from './database.ts'
import { finishDeletion } from './deletions.ts'
import { deleteEmbedding, setEmbedding } from './embeddings.ts'
import { isConstraint } from './errors.ts'
import { linkFolder, unlinkFolder } from './file-links.ts'
import { folderOfRow, readFolderRow, rowOfFolder } from './file-rows.ts'
import { windowOf } from './page.ts'
import { db } from './query.ts'

/** Folders of files, and the agents that have them. */
export class SqlFolders implements FolderStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  create(actor: Actor, folder: Folder): Promise<Folder> {
    return this.#database.write(async (tx) => {
      await insertFolder(tx, actor, folder)
      return folder
    })
  }

  get(actor: Actor, folder_id: string): Promise<Folder | null> {
    return this.#database.read(async (c) => {
      const row = await readFolderRow(c, actor, folder_id)
      return row ? folderOfRow(row) : null
    })
  }

  list(actor: Actor, filter: FolderFilter, page: Page): Promise<Folder[]> {
    return this.#database.read(async (c) => {
      const sorting = { table: 'folders', column: 'created_at' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = filtered(actor, filter).selectAll('folders')
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = (await c.all(rows.orderBy(window.direction).limit(page.limit))).map(folderOfRow)
      return window.turned ? found.toReversed() : found
    })
  }

  count(actor: Actor): Promise<number> {
    return this.#database.read(
      async (c) =>
        (await c.get(filtered(actor, {}).select((eb) => eb.fn.countAll<number>().as('n'))))?.n ?? 0,
    )
  }

  update(actor: Actor, folder_id: string, patch: FolderPatch): Promise<Folder | null> {
    return this.#database.write(async (tx) => {
      const row = await readFolderRow(tx, actor, folder_id)
      if (!row) return null
      const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
      const next: Folder = {
        ...folderOfRow(row),
        ...given,
        updated_at: new Date().toISOString(),
        last_updated_by_id: actor.user_id,
      }
      const { id, ...columns } = rowOfFolder(actor, next)
      await unlessTaken(
        next.name,
        async () => await tx.run(db.updateTable('folders').set(columns).where('id', '=', id)),
      )
      await embedWith(tx, actor, next)
      await tx.event(actor, 'folder.updated', id, null)
      return next
    })
  }

  async delete(actor: Actor, folder_id: string): Promise<boolean> {
    const { organization_id } = actor
    const deleted = await this.#database.write(async (tx) => {
      if (!(await readFolderRow(tx, actor, folder_id))) return false
      for (const agent_id of await agentsOf(tx, folder_id)) await unlinkFolder(tx, actor, agent_id, folder_id)
      await tx.run(db.deleteFrom('folders').where('id', '=', folder_id))
      // Its vectors go with its files, which nobody sees without it.
      await deleteEmbedding(tx, folder_id)
      await tx.run(db.insertInto('deletions').values({ agent_id: folder_id, organization_id }))
      // Its files go with it, in silence.
      await tx.event(actor, 'folder.deleted', folder_id, null)
      return true
    })
    if (deleted) await finishDeletion(this.#database, { agent_id: folder_id, organization_id })
    return deleted
  }

  agents(actor: Actor, folder_id: string, page: Page): Promise<string[]> {
    return this.#database.read(async (c) => {
      const window = await windowOf(c, actor.organization_id, { table: 'agents', column: 'created_at' }, page)
      let rows = db
        .selectFrom('agents')
        .innerJoin('agents_folders', 'agents_folders.agent_id', 'agents.id')
        .select('agents.id')
        .where('agents_folders.folder_id', '=', folder_id)
        .where('agents.organization_id', '=', actor.organization_id)
      for (const condition of window.conditions) rows = rows.where(condition)
      const ids = (await c.all(rows.orderBy(window.direction).limit(page.limit))).map((row) => row.id)
      return window.turned ? ids.toReversed() : ids
    })
  }

  attach(actor: Actor, agent_id: string, folder_id: string): Promise<void> {
    return this.#database.write(async (tx) => {
      if (!(await readAgentRow(tx, actor, agent_id))) throw agentNotFound()
      await linkFolder(tx, actor, agent_id, folder_id)
    })
  }

  detach(actor: Actor, agent_id: string, folder_id: string): Promise<void> {
    return this.#database.write(async (tx) => {
      if (!(await readAgentRow(tx, actor, agent_id))) throw agentNotFound()
      await unlinkFolder(tx, actor, agent_id, folder_id)
    })
  }

  stats(actor: Actor, options: { files: boolean }): Promise<FolderStats> {
    return this.#database.read(async (c) => {
      const folders = await c.all(
        filtered(actor, {}).selectAll('folders').orderBy('created_at').orderBy('id'),
      )
      const sources = await mapEach(folders, async (folder) => {
        const files = await c.all(
          db
            .selectFrom('files')
            .select(['id', 'name', 'size'])
            .where('folder_id', '=', folder.id)
            .where('deleted', '=', 0)
            .orderBy('created_at')
            .orderBy('id'),
        )
        return {
          source_id: folder.id,
          source_name: folder.name,
          file_count: files.length,
          total_size: files.reduce((sum, { size }) => sum + size, 0),
          files: options.files
            ? files.map((f) => ({ file_id: f.id, file_name: `${folder.name}/${f.name}`, file_size: f.size }))
            : [],
        }
      })
      return {
        total_sources: sources.length,
        total_files: sources.reduce((sum, source) => sum + source.file_count, 0),
        total_size: sources.reduce((sum, source) => sum + source.total_size, 0),
        sources: options.files ? sources : [],
      }
    })
  }
}

/** As `FolderStore.create`. */
export async function insertFolder(tx: Transaction, actor: Actor, folder: Folder): Promise<void> {
  await unlessTaken(
    folder.name,
    async () => await tx.run(db.insertInto('folders').values(rowOfFolder(actor, folder))),
  )
  await embedWith(tx, actor, folder)
  await tx.event(actor, 'folder.created', folder.id, null)
}

async function embedWith(tx: Transaction, actor: Actor, { id, embedding_config }: Folder): Promise<void> {
  await setEmbedding(tx, actor, id, embedding_config.handle || null)
}

async function agentsOf(tx: Transaction, folder_id: string): Promise<string[]> {
  return (
    await tx.all(db.selectFrom('agents_folders').select('agent_id').where('folder_id', '=', folder_id))
  ).map((row) => row.agent_id)
}

function filtered(actor: Actor, filter: FolderFilter) {
  let rows = db.selectFrom('folders').where('folders.organization_id', '=', actor.organization_id)
  if (filter.name !== undefined) rows = rows.where('name', '=', filter.name)
  if (filter.agent_id !== undefined) {
    rows = rows.where('id', 'in', (eb) =>
      eb
        .selectFrom('agents_folders')
        .select('folder_id')
        .where('agent_id', '=', filter.agent_id ?? ''),
    )
  }
  return rows
}

async function unlessTaken(name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isConstraint(error)) throw error
    throw new AppError(
      'conflict',
      `There is a folder named '${name}' already; choose another name, or use that folder.`,
      { cause: error },
    )
  }
}

import type { Actor } from '../../core/ports/actor.ts'
import type { ArchiveFilter, ArchivePatch, ArchiveStore, NewArchive } from '../../core/ports/archive-store.ts'
import type { Archive } from '../../schema/archive.ts'
import { agentNotFound, AppError } from '../../schema/errors.ts'
import type { Page } from '../../schema/page.ts'
import { readAgentRow } from './agent-rows.ts'
import type { Database, Transaction } from './database.ts'
import { deleteEmbedding, setEmbedding } from './embeddings.ts'
import { windowOf } from './page.ts'
import { deletePassageRows } from './passage-rows.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import { inSlices } from './slices.ts'
import type { ArchiveRow } from './tables.ts'

type ArchiveData = Pick<Archive, 'description' | 'metadata'> & Partial<Pick<Archive, 'embedding_config'>>

/** Passages that one transaction deletes, the first and any. */
const ROWS = { first: 50, most: 500 }

const byId = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('archives')
    .selectAll()
    .where('id', '=', p.id)
    .where('organization_id', '=', p.org)
    .where('deleted_at', 'is', null),
)
const nextPosition = query<{ agent: string }>()((p) =>
  db
    .selectFrom('archives_agents')
    .select((eb) => eb.fn.coalesce(eb('position', '+', 1), eb.lit(0)).as('position'))
    .where('agent_id', '=', p.agent)
    .orderBy('position', 'desc')
    .limit(1),
)

/** Archives and whose they are. */
export class SqlArchives implements ArchiveStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  create(actor: Actor, archive: NewArchive): Promise<Archive> {
    return this.#database.write(async (tx) => {
      const { embedding, description, metadata, ...row } = archive
      const data: ArchiveData = { description, metadata, embedding_config: embedding?.config ?? null }
      await tx.send(
        db.insertInto('archives').values({
          ...row,
          organization_id: actor.organization_id,
          updated_at: row.created_at,
          created_by_id: actor.user_id,
          last_updated_by_id: actor.user_id,
          data: JSON.stringify(data),
        }),
      )
      await setEmbedding(tx, actor, archive.id, embedding?.handle ?? null)
      return archiveOf(await rowOf(tx, actor, archive.id))
    })
  }

  get(actor: Actor, archive_id: string): Promise<Archive | null> {
    return this.#database.read(async (c) => {
      const row = await byId.get(c, { id: archive_id, org: actor.organization_id })
      return row ? archiveOf(row) : null
    })
  }

  list(actor: Actor, filter: ArchiveFilter, page: Page): Promise<Archive[]> {
    return this.#database.read(async (c) => {
      const window = await windowOf(
        c,
        actor.organization_id,
        { table: 'archives', column: 'created_at' },
        page,
      )
      let rows = db
        .selectFrom('archives')
        .selectAll('archives')
        .where('archives.organization_id', '=', actor.organization_id)
        .where('archives.deleted_at', 'is', null)
      if (filter.name !== undefined) rows = rows.where('archives.name', '=', filter.name)
      if (filter.agent_id !== undefined) {
        const attached = db
          .selectFrom('archives_agents')
          .select('archive_id')
          .where('agent_id', '=', filter.agent_id)
        rows = rows.where('archives.id', 'in', attached)
      }
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = (await c.all(rows.orderBy(window.direction).limit(page.limit))).map(archiveOf)
      return window.turned ? found.toReversed() : found
    })
  }

  update(actor: Actor, archive_id: string, patch: ArchivePatch): Promise<Archive | null> {
    return this.#database.write(async (tx) => {
      const row = await byId.get(tx, { id: archive_id, org: actor.organization_id })
      if (!row) return null
      const data = JSON.parse(row.data) as ArchiveData
      if (patch.description !== undefined) data.description = patch.description
      if (patch.embedding !== undefined) {
        data.embedding_config = patch.embedding?.config ?? null
        await setEmbedding(tx, actor, archive_id, patch.embedding?.handle ?? null)
      }
      await tx.send(
        db
          .updateTable('archives')
          .set({
            name: patch.name ?? row.name,
            data: JSON.stringify(data),
            updated_at: new Date().toISOString(),
            last_updated_by_id: actor.user_id,
          })
          .where('id', '=', archive_id),
      )
      return archiveOf(await rowOf(tx, actor, archive_id))
    })
  }

  async delete(actor: Actor, archive_id: string): Promise<boolean> {
    const gone = await this.#database.write(async (tx) => {
      if (!(await byId.get(tx, { id: archive_id, org: actor.organization_id }))) return false
      await tx.send(db.deleteFrom('archives_agents').where('archive_id', '=', archive_id))
      await tx.send(
        db.updateTable('archives').set({ deleted_at: new Date().toISOString() }).where('id', '=', archive_id),
      )
      return true
    })
    if (gone) await finishArchiveDeletion(this.#database, archive_id)
    return gone
  }

  attach(actor: Actor, agent_id: string, archive_id: string): Promise<void> {
    return this.#database.write(async (tx) => {
      if (!(await readAgentRow(tx, actor, agent_id))) throw agentNotFound()
      await rowOf(tx, actor, archive_id)
      await tx.send(
        db
          .insertInto('archives_agents')
          .values({
            agent_id,
            archive_id,
            organization_id: actor.organization_id,
            position: (await nextPosition.get(tx, { agent: agent_id }))?.position ?? 0,
          })
          .onConflict((conflict) => conflict.doNothing()),
      )
    })
  }

  detach(actor: Actor, agent_id: string, archive_id: string): Promise<void> {
    return this.#database.write(async (tx) => {
      if (!(await readAgentRow(tx, actor, agent_id))) throw agentNotFound()
      const links = db
        .deleteFrom('archives_agents')
        .where('agent_id', '=', agent_id)
        .where('archive_id', '=', archive_id)
        .where('organization_id', '=', actor.organization_id)
      if ((await tx.run(links)) === 0)
        throw new AppError('not_found', `The agent '${agent_id}' has no archive '${archive_id}'.`)
    })
  }
}

/** Goes on with deletions of archives that were interrupted. */
export async function finishArchiveDeletions(database: Database): Promise<void> {
  const left = await database.read(
    async (c) => await c.all(db.selectFrom('archives').select('id').where('deleted_at', 'is not', null)),
  )
  for (const { id } of left) await finishArchiveDeletion(database, id)
}

/** Removes the passages of an archive that is gone, then the archive, in short transactions. */
async function finishArchiveDeletion(database: Database, archive_id: string): Promise<void> {
  await inSlices(database, ROWS, async (tx, rows) => await deleteSome(tx, archive_id, rows))
  await database.write(async (tx) => {
    await deleteEmbedding(tx, archive_id)
    return await tx.run(db.deleteFrom('archives').where('id', '=', archive_id))
  })
  await database.mergeIndexes(['passages_fts'])
}

async function deleteSome(tx: Transaction, archive_id: string, rows: number): Promise<boolean> {
  const seqs = (
    await tx.all(db.selectFrom('passages').select('seq').where('archive_id', '=', archive_id).limit(rows))
  ).map((row) => row.seq)
  await deletePassageRows(tx, archive_id, seqs)
  return seqs.length > 0
}

/** Throws `not_found`. */
async function rowOf(
  connection: Connection,
  actor: Actor,
  id: string,
): Promise<ArchiveRow & { passage_count: number }> {
  const row = await byId.get(connection, { id, org: actor.organization_id })
  if (!row) throw archiveNotFound(id)
  return row as ArchiveRow & { passage_count: number }
}

function archiveOf(row: Omit<ArchiveRow, 'passage_count'>): Archive {
  const { description, metadata, embedding_config = null } = JSON.parse(row.data) as ArchiveData
  return {
    id: row.id,
    name: row.name,
    description,
    vector_db_provider: 'native',
    embedding_config,
    metadata,
    created_at: row.created_at,
    updated_at: row.updated_at,
    created_by_id: row.created_by_id,
    last_updated_by_id: row.last_updated_by_id,
  }
}

/** `not_found` for an archive. */
export function archiveNotFound(id: string): AppError {
  return new AppError('not_found', `There is no archive '${id}'.`)
}

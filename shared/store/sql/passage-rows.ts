import { flatMapEach, mapEach } from '../each.ts'
import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { NewPassage } from '../../core/ports/passage-store.ts'
import { agentNotFound, AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { Passage } from '../../schema/passage.ts'
import { indexText } from '../search-text.ts'
import { agentOfRow, readAgentRow } from './agent-rows.ts'
import type { Transaction } from './database.ts'
import { deleteVectors, setEmbedding, wakeEmbedding } from './embeddings.ts'
import { indexed, ownerWord } from './full-text.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { PassageRow } from './tables.ts'

type Data = Pick<Passage, 'tags' | 'metadata'>
type NewRow = Omit<PassageRow, 'seq'>

/** Tags that the prompt names at the most. */
const MAX_TAGS = 100

const archivesOf = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('archives_agents')
    .innerJoin('archives', 'archives.id', 'archives_agents.archive_id')
    .select(['archives.id', 'archives.passage_count'])
    .where('archives_agents.agent_id', '=', p.agent)
    .where('archives.organization_id', '=', p.org)
    .where('archives.deleted_at', 'is', null)
    .orderBy('archives_agents.position'),
)
const archiveOf = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('archives')
    .select(['archives.id', 'archives.passage_count'])
    .where('id', '=', p.id)
    .where('organization_id', '=', p.org)
    .where('deleted_at', 'is', null),
)
const archivesOfAll = query<{ org: string }>()((p) =>
  db
    .selectFrom('archives')
    .select(['archives.id', 'archives.passage_count'])
    .where('organization_id', '=', p.org)
    .where('passage_count', '>', 0)
    .where('deleted_at', 'is', null),
)
const addArchive = query<{
  id: string
  org: string
  name: string
  now: string
  user: string
  data: string
}>()((p) =>
  db.insertInto('archives').values({
    id: p.id,
    organization_id: p.org,
    name: p.name,
    created_at: p.now,
    updated_at: p.now,
    created_by_id: p.user,
    last_updated_by_id: p.user,
    data: p.data,
  }),
)
const linkArchive = query<{ agent: string; archive: string; org: string }>()((p) =>
  db
    .insertInto('archives_agents')
    .values({ agent_id: p.agent, archive_id: p.archive, organization_id: p.org, position: 0 }),
)
const countBy = query<{ id: string; n: number }>()((p) =>
  db
    .updateTable('archives')
    .set((eb) => ({ passage_count: eb('passage_count', '+', p.n) }))
    .where('id', '=', p.id),
)
const add = query<NewRow & { seq?: never }>()((p) =>
  db
    .insertInto('passages')
    .values({
      id: p.id,
      organization_id: p.organization_id,
      archive_id: p.archive_id,
      text: p.text,
      created_at: p.created_at,
      updated_at: p.updated_at,
      created_by_id: p.created_by_id,
      last_updated_by_id: p.last_updated_by_id,
      data: p.data,
    })
    .returning('seq'),
)
const addText = query<{ seq: number; owner: string; text: string }>()((p) =>
  db.insertInto('passages_fts').values({ rowid: p.seq, owner: p.owner, text: indexed(p.owner, p.text) }),
)
const addTag = query<{ seq: number; tag: string; archive: string }>()((p) =>
  db.insertInto('passage_tags').values({ passage_seq: p.seq, tag: p.tag, archive_id: p.archive }),
)

/** The archives attached to an agent; the first is its default one. */
export async function archivesOfAgent(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): Promise<{ id: string; passage_count: number }[]> {
  return await archivesOf.all(connection, { agent: agent_id, org: actor.organization_id })
}

/** Where a search looks: an agent's archives, one archive, or all of the organisation; nowhere when that is not there. */
export async function archivesInScope(
  connection: Connection,
  actor: Actor,
  { agent_id, archive_id }: { agent_id?: string | undefined; archive_id?: string | undefined },
): Promise<{ id: string; passage_count: number }[]> {
  const org = actor.organization_id
  if (agent_id !== undefined)
    return (await archivesOfAgent(connection, actor, agent_id)).filter(
      ({ id }) => archive_id === undefined || id === archive_id,
    )
  return archive_id === undefined
    ? await archivesOfAll.all(connection, { org })
    : await archiveOf.all(connection, { id: archive_id, org })
}

/** What the prompt says of an agent's archives. */
export async function archivalSummary(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): Promise<{ count: number; tags: string[] }> {
  const archives = await archivesOfAgent(connection, actor, agent_id)
  const count = archives.reduce((sum, archive) => sum + archive.passage_count, 0)
  if (count === 0) return { count, tags: [] }
  const tags = new Set(await flatMapEach(archives, async ({ id }) => await tagsOfArchive(connection, id)))
  return { count, tags: [...tags].sort().slice(0, MAX_TAGS) }
}

/** Jumps from tag to tag in the index, so that it costs what there are tags, not passages. */
async function tagsOfArchive(connection: Connection, archive_id: string): Promise<string[]> {
  const rows = await connection.all(
    sql<{ tag: string }>`with recursive found (tag) as (
      select min(tag) from passage_tags where archive_id = ${archive_id}
      union all
      select (select min(tag) from passage_tags where archive_id = ${archive_id} and tag > found.tag)
      from found where found.tag is not null
    ) select tag from found where tag is not null limit ${MAX_TAGS}`,
  )
  return rows.map(({ tag }) => tag)
}

/**
 * Stores passages in the agent's default archive; one named after the agent is made when it has none. Throws `not_found`
 * for the agent.
 */
export async function insertPassages(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  passages: readonly NewPassage[],
): Promise<Passage[]> {
  if (passages.length === 0) return []
  const archive_id =
    (await archivesOfAgent(tx, actor, agent_id))[0]?.id ?? (await createDefaultArchive(tx, actor, agent_id))
  return await addPassages(tx, actor, archive_id, passages)
}

/** Stores passages in an archive. Throws `not_found` when there is none. */
export async function insertInto(
  tx: Transaction,
  actor: Actor,
  archive_id: string,
  passages: readonly NewPassage[],
): Promise<Passage[]> {
  if (!(await archiveOf.get(tx, { id: archive_id, org: actor.organization_id })))
    throw new AppError('not_found', `There is no archive '${archive_id}'.`)
  return passages.length === 0 ? [] : await addPassages(tx, actor, archive_id, passages)
}

async function addPassages(
  tx: Transaction,
  actor: Actor,
  archive_id: string,
  passages: readonly NewPassage[],
): Promise<Passage[]> {
  const now = new Date().toISOString()
  await wakeEmbedding(tx, archive_id)
  await countBy.send(tx, { id: archive_id, n: passages.length })
  return await mapEach(passages, async (passage) => {
    const tags = [...new Set(passage.tags)]
    const data: Data = { tags, metadata: passage.metadata }
    const row: NewRow = {
      id: passage.id,
      organization_id: actor.organization_id,
      archive_id,
      text: passage.text,
      created_at: passage.created_at,
      updated_at: now,
      created_by_id: actor.user_id,
      last_updated_by_id: actor.user_id,
      data: JSON.stringify(data),
    }
    const seq = (await add.get(tx, row))?.seq ?? 0
    await addText.send(tx, { seq, owner: ownerWord(archive_id), text: indexText(passage.text) })
    for (const tag of tags) await addTag.send(tx, { seq, tag, archive: archive_id })
    return passageOf(row)
  })
}

async function createDefaultArchive(tx: Transaction, actor: Actor, agent_id: string): Promise<string> {
  const agent = await readAgentRow(tx, actor, agent_id)
  if (!agent) throw agentNotFound()
  const id = newId('archive')
  const { embedding, embedding_config } = agentOfRow(agent)
  const description = 'Default archive, made with the first memory.'
  await addArchive.send(tx, {
    id,
    org: actor.organization_id,
    name: `${agent.name}'s Archive`,
    now: new Date().toISOString(),
    user: actor.user_id,
    data: JSON.stringify({ description, metadata: null, embedding_config }),
  })
  // Without its configuration nobody knows the model: the handle is kept with the agent, and search is by words.
  await setEmbedding(tx, actor, id, embedding_config === null ? null : embedding)
  await linkArchive.send(tx, { agent: agent_id, archive: id, org: actor.organization_id })
  return id
}

/** Removes a passage of one of these archives with its index; false when they have none of this id. */
export async function deletePassage(
  tx: Transaction,
  actor: Actor,
  archives: readonly string[],
  passage_id: string,
): Promise<boolean> {
  if (archives.length === 0) return false
  const row = await tx.get(
    db
      .selectFrom('passages')
      .select(['seq', 'archive_id'])
      .where('id', '=', passage_id)
      .where('organization_id', '=', actor.organization_id)
      .where('archive_id', 'in', archives),
  )
  if (!row) return false
  await deletePassageRows(tx, row.archive_id, [row.seq])
  return true
}

/** Removes passages of an archive with their index, tags and vectors. */
export async function deletePassageRows(
  tx: Transaction,
  archive_id: string,
  seqs: readonly number[],
): Promise<void> {
  if (seqs.length === 0) return
  await deleteVectors(tx, archive_id, seqs)
  await tx.send(db.deleteFrom('passage_tags').where('passage_seq', 'in', seqs))
  await tx.send(db.deleteFrom('passages_fts').where('rowid', 'in', seqs))
  await tx.send(db.deleteFrom('passages').where('seq', 'in', seqs))
  await countBy.send(tx, { id: archive_id, n: -seqs.length })
}

/** The passage of a row. */
export function passageOf(row: NewRow): Passage {
  const data = JSON.parse(row.data) as Data
  return {
    id: row.id,
    text: row.text,
    archive_id: row.archive_id,
    source_id: null,
    file_id: null,
    file_name: null,
    tags: data.tags,
    metadata: data.metadata,
    embedding: null,
    embedding_config: null,
    is_deleted: false,
    created_at: row.created_at,
    updated_at: row.updated_at,
    created_by_id: row.created_by_id,
    last_updated_by_id: row.last_updated_by_id,
  }
}

/** Passages with any, or all, of these tags. */
export function taggedWith(tags: readonly string[], mode: 'any' | 'all') {
  const wanted = [...new Set(tags)]
  const count = db
    .selectFrom('passage_tags')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .whereRef('passage_seq', '=', sql.ref<number>('passages.seq'))
    .where('tag', 'in', wanted)
  return sql<boolean>`(${count}) >= ${mode === 'all' ? wanted.length : 1}`
}

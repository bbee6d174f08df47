import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { Agent } from '../../schema/agent.ts'
import type { Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, db, portable } from './query.ts'

const present = query<{ owner: string }>()((p) =>
  db.selectFrom('embeddings').select(['model', 'generation']).where('owner', '=', p.owner),
)
const add = query<{ owner: string; org: string; model: string }>()((p) =>
  db.insertInto('embeddings').values({
    owner: p.owner,
    organization_id: p.org,
    model: p.model,
    generation: 1,
    dim: null,
    problem: null,
    claimed_by: null,
  }),
)
const change = query<{ owner: string; model: string; generation: number; waiting: number }>()((p) =>
  db
    .updateTable('embeddings')
    .set({
      model: p.model,
      generation: p.generation,
      waiting: p.waiting,
      dim: null,
      done: 0,
      refused: 0,
      stale: 1,
      failures: 0,
      problem: null,
      retry_at: 0,
      claimed_until: 0,
    })
    .where('owner', '=', p.owner),
)
const wake = query<{ owner: string }>()((p) =>
  db
    .updateTable('embeddings')
    .set({ waiting: 1 })
    .where('owner', '=', p.owner)
    // In PostgreSQL the row is written in any case: texts of one owner are committed in the order of their numbers then.
    .where(portable<boolean>({ sqlite: sql`waiting = 0`, postgres: sql`true` }))
    .where('model', '<>', ''),
)
const wakeAtOnce = query<{ agent: string }>()(
  (p) =>
    sql`insert into embeddings (owner, organization_id, model, generation)
      select id, organization_id, coalesce(data::json ->> 'embedding', ''), 1 from agents
      where id = ${p.agent} and (data::json ->> 'embedding_config') is not null
        and exists (select 1 from meta where key = 'embed_messages' and value = '1')
      on conflict (owner) do update set waiting = 1`,
)
const flag = query<object>()(() => db.selectFrom('meta').select('value').where('key', '=', 'embed_messages'))
const putFlag = query<{ value: string }>()((p) =>
  db
    .insertInto('meta')
    .values({ key: 'embed_messages', value: p.value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: p.value })),
)
const agentOf = query<{ id: string }>()((p) =>
  db.selectFrom('agents').select(['organization_id', 'data']).where('id', '=', p.id),
)
const dropOwner = query<{ owner: string }>()((p) => db.deleteFrom('embeddings').where('owner', '=', p.owner))

/**
 * Says with which model the texts of an owner are embedded; null: with none. Another one than before embeds all of them
 * anew: old vectors are not searched any more, and removed later.
 */
export async function setEmbedding(
  tx: Transaction,
  actor: Actor,
  owner: string,
  handle: string | null,
): Promise<void> {
  const before = await present.get(tx, { owner })
  const model = handle ?? ''
  if (before?.model === model || (!before && handle === null)) return
  if (!before) await add.send(tx, { owner, org: actor.organization_id, model })
  else
    await change.send(tx, {
      owner,
      model,
      generation: before.generation + 1,
      waiting: handle === null ? 0 : 1,
    })
}

/** Texts of an owner have come: they are to be embedded when it has a model. */
export async function wakeEmbedding(tx: Transaction, owner: string): Promise<void> {
  await wake.send(tx, { owner })
}

/** Whether messages are embedded. */
export async function embedsMessages(connection: Connection): Promise<boolean> {
  return (await flag.get(connection, {}))?.value === '1'
}

/** Says whether messages are embedded. */
export async function setEmbedsMessages(tx: Transaction, on: boolean): Promise<void> {
  await putFlag.send(tx, { value: on ? '1' : '0' })
}

/** Messages of an agent have come: they are to be embedded with its model, when it has one. */
export async function wakeMessages(tx: Transaction, agent_id: string): Promise<void> {
  const row = await agentOf.get(tx, { id: agent_id })
  if (!row) return
  const { embedding, embedding_config } = JSON.parse(row.data) as Pick<
    Agent,
    'embedding' | 'embedding_config'
  >
  const actor = { organization_id: row.organization_id, user_id: '' }
  await setEmbedding(tx, actor, agent_id, embedding_config == null ? null : embedding)
  await wakeEmbedding(tx, agent_id)
}

/** As `wakeMessages`, in PostgreSQL and one statement, for each message; nothing while messages are not embedded. */
export async function wakeMessagesAtOnce(tx: Transaction, agent_id: string): Promise<void> {
  await wakeAtOnce.send(tx, { agent: agent_id })
}

/** Removes some vectors of an owner that is gone; answers how many, and forgets the owner when there is none left. */
export async function deleteSomeVectors(tx: Transaction, owner: string, rows: number): Promise<number> {
  const some = db.selectFrom('vectors').select('id').where('owner', '=', owner).limit(rows)
  const deleted = await tx.run(db.deleteFrom('vectors').where('id', 'in', some))
  if (deleted === 0) await deleteEmbedding(tx, owner)
  return deleted
}

/** Forgets an owner whose vectors are gone. */
export async function deleteEmbedding(tx: Transaction, owner: string): Promise<void> {
  await dropOwner.send(tx, { owner })
}

/** Removes the vectors of these texts. */
export async function deleteVectors(tx: Transaction, owner: string, seqs: readonly number[]): Promise<void> {
  if (seqs.length === 0) return
  await tx.send(db.deleteFrom('vectors').where('owner', '=', owner).where('seq', 'in', seqs))
}

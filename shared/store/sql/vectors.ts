import { filterEach } from '../each.ts'
import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  EmbeddingBatch,
  EmbeddingStatus,
  VectorScope,
  VectorStore,
} from '../../core/ports/vector-store.ts'
import { AppError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import { unit } from '../vector-math.ts'
import type { Database, Transaction } from './database.ts'
import { embedsMessages, setEmbedsMessages } from './embeddings.ts'
import type { Instance } from './instances.ts'
import { MESSAGE_COLUMNS, messageOf, searchText } from './messages.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import { inSlices } from './slices.ts'
import { CLAIMS, unlessTaken } from './unless-taken.ts'
import type { VectorIndex } from './vector-index.ts'
import { ownersOf } from './vector-owners.ts'

/** Vectors are stored as float32. */
const BYTES_OF_A_NUMBER = 4

/** Rows that one transaction removes, the first and any. */
const ROWS = { first: 50, most: 500 }

const dueAt = (p: { now: number }) =>
  db
    .selectFrom('embeddings')
    .selectAll()
    .where('waiting', '=', 1)
    .where('retry_at', '<=', p.now)
    .where('claimed_until', '<=', p.now)
    .orderBy('retry_at')
    .limit(1)
const due = query<{ now: number }>()(dueAt)
const dueFree = query<{ now: number }>()((p) => dueAt(p).modifyEnd(unlessTaken))
const taken = query<{ now: number }>()((p) =>
  db
    .selectFrom('embeddings')
    .selectAll()
    .where('waiting', '=', 1)
    .where('retry_at', '<=', p.now)
    .where('claimed_until', '>', p.now)
    .limit(100),
)
const free = query<{ owner: string; until: number; by: string | null }>()((p) =>
  db
    .selectFrom('embeddings')
    .selectAll()
    .where('owner', '=', p.owner)
    .where('waiting', '=', 1)
    .where('claimed_until', '=', p.until)
    .where('claimed_by', 'is not distinct from', p.by)
    .modifyEnd(unlessTaken),
)
const passagesAfter = query<{ owner: string; after: number; limit: number }>()((p) =>
  db
    .selectFrom('passages')
    .select(['seq', 'text'])
    .where('archive_id', '=', p.owner)
    .where('seq', '>', p.after)
    .orderBy('seq')
    .limit(p.limit),
)
const messagesAfter = query<{ owner: string; after: number; limit: number }>()((p) =>
  db
    .selectFrom('messages')
    .select([...MESSAGE_COLUMNS, 'messages.seq'])
    .where('agent_id', '=', p.owner)
    .where('searchable', '=', 1)
    .where('seq', '>', p.after)
    .orderBy('seq')
    .limit(p.limit),
)
const passageThere = query<{ seq: number }>()((p) =>
  db.selectFrom('passages').select('seq').where('seq', '=', p.seq),
)
const messageThere = query<{ seq: number }>()((p) =>
  db.selectFrom('messages').select('seq').where('seq', '=', p.seq),
)
const present = query<{ owner: string }>()((p) =>
  db.selectFrom('embeddings').selectAll().where('owner', '=', p.owner),
)
/** Vectors in the database, and which texts still wait for one. */
export class SqlVectors implements VectorStore {
  readonly #database: Database
  readonly #instance: Instance
  readonly #vectors: VectorIndex
  readonly #index: () => Promise<void>

  /** `index` takes in what is committed: with it an agent learns that it has new messages. */
  constructor(database: Database, instance: Instance, vectors: VectorIndex, index: () => Promise<void>) {
    this.#database = database
    this.#instance = instance
    this.#vectors = vectors
    this.#index = index
  }

  async embedMessages(on: boolean): Promise<void> {
    if ((await this.#database.read(embedsMessages)) !== on)
      await this.#database.write(async (tx) => await setEmbedsMessages(tx, on))
  }

  async claim(limits: {
    texts: number
    characters: number
    claim_ms: number
  }): Promise<EmbeddingBatch | null> {
    if (await this.#database.read(embedsMessages)) await this.#index()
    // Looked for first: nothing is written while nothing waits.
    if (!(await this.#database.read(async (c) => await this.#due(c, this.#database.now().getTime()))))
      return null
    await this.#instance.lock()
    return this.#database.write(async (tx) => {
      for (;;) {
        const now = this.#database.now().getTime()
        const row = await this.#take(tx, now)
        if (!row) return null
        const texts = await textsOf(tx, row, limits)
        if (texts.length > 0) {
          await change(tx, row.owner, { claimed_until: now + limits.claim_ms, claimed_by: this.#instance.id })
          return batchOf(row, texts)
        }
        await change(tx, row.owner, { waiting: 0 })
      }
    }, CLAIMS)
  }

  save(
    batch: EmbeddingBatch,
    vectors: readonly (Float32Array | null)[],
    problem: string | null = null,
  ): Promise<void> {
    return this.#database.write(async (tx) => {
      const row = await present.get(tx, { owner: batch.owner })
      if (!row || row.generation !== batch.generation) return
      const dim = row.dim ?? vectors.find((vector) => vector !== null)?.length ?? null
      const there = isId('agent', batch.owner) ? messageThere : passageThere
      for (const [i, { seq }] of batch.texts.entries()) {
        const vector = vectors[i]
        if (!vector) continue
        if (vector.length !== dim) throw otherDimension(batch, vector.length, dim)
        if (!(await there.get(tx, { seq }))) continue
        const direction = unit(vector)
        const { owner, generation } = batch
        await this.#vectors.put(tx, { owner, generation, seq, direction })
      }
      if (row.dim === null && dim !== null) await tellDimension(tx, batch.owner, dim)
      const done = batch.texts.at(-1)?.seq ?? row.done
      const refused = row.refused + batch.texts.filter((_, i) => !vectors[i]).length
      await change(tx, batch.owner, {
        dim,
        done,
        refused,
        failures: 0,
        problem,
        retry_at: 0,
        claimed_until: 0,
      })
    })
  }

  fail(batch: EmbeddingBatch, problem: string, wait_ms: number): Promise<void> {
    return this.#ofGeneration(batch, {
      failures: batch.failures + 1,
      problem,
      retry_at: this.#database.now().getTime() + wait_ms,
      claimed_until: 0,
    })
  }

  release(batch: EmbeddingBatch): Promise<void> {
    return this.#ofGeneration(batch, { claimed_until: 0 })
  }

  async tidy(): Promise<void> {
    const stale = db.selectFrom('embeddings').select(['owner', 'generation']).where('stale', '=', 1)
    for (const { owner, generation } of await this.#database.read(async (c) => await c.all(stale))) {
      const old = db
        .selectFrom('vectors')
        .select('id')
        .where('owner', '=', owner)
        .where('generation', '<', generation)
      await inSlices(this.#database, ROWS, async (tx, rows) => {
        const deleted = await tx.run(db.deleteFrom('vectors').where('id', 'in', old.limit(rows)))
        if (deleted > 0) return true
        await change(tx, owner, { stale: 0 })
        return false
      })
    }
  }

  models(actor: Actor, scope: VectorScope): Promise<string[]> {
    return this.#database.read(async (c) => [
      ...new Set((await ownersOf(c, actor, scope)).map((owner) => owner.model)),
    ])
  }

  bytes(actor: Actor): Promise<number> {
    const count = sql<number>`(select count(*) from vectors where vectors.owner = embeddings.owner)`
    const sum = db
      .selectFrom('embeddings')
      .select(sql<number | null>`sum(dim * ${BYTES_OF_A_NUMBER} * ${count})`.as('bytes'))
      .where('organization_id', '=', actor.organization_id)
    return this.#database.read(async (c) => (await c.get(sum))?.bytes ?? 0)
  }

  status(actor: Actor, owner: string): Promise<EmbeddingStatus | null> {
    return this.#database.read(async (c) => {
      const row = await present.get(c, { owner })
      if (!row || row.organization_id !== actor.organization_id || row.model === '') return null
      return { model: row.model, dim: row.dim, waiting: row.waiting === 1, problem: row.problem }
    })
  }

  /** What is due: what nobody works on, or somebody who is gone. */
  async #due(connection: Connection, now: number) {
    return (await due.get(connection, { now })) ?? (await this.#left(connection, now))[0]
  }

  /** The same, for nobody else to take. */
  async #take(tx: Transaction, now: number) {
    const row = await dueFree.get(tx, { now })
    if (row) return row
    for (const { owner, claimed_until: until, claimed_by: by } of await this.#left(tx, now)) {
      const taken = await free.get(tx, { owner, until, by })
      if (taken) return taken
    }
    return undefined
  }

  async #left(connection: Connection, now: number) {
    const stateOf = this.#instance.states(connection)
    return await filterEach(
      await taken.all(connection, { now }),
      async ({ claimed_by: id }) => id !== null && (await stateOf(id)) === 'dead',
    )
  }

  #ofGeneration(batch: EmbeddingBatch, values: Change): Promise<void> {
    return this.#database.write(async (tx) => {
      if ((await present.get(tx, { owner: batch.owner }))?.generation === batch.generation)
        await change(tx, batch.owner, values)
    })
  }
}

/** New values of some columns. */
type Change = Partial<{
  dim: number | null
  done: number
  refused: number
  waiting: number
  stale: number
  failures: number
  problem: string | null
  retry_at: number
  claimed_until: number
  claimed_by: string
}>

async function change(tx: Transaction, owner: string, values: Change): Promise<void> {
  await tx.send(db.updateTable('embeddings').set(values).where('owner', '=', owner))
}

async function textsOf(
  tx: Transaction,
  row: { owner: string; done: number },
  limits: { texts: number; characters: number },
): Promise<EmbeddingBatch['texts']> {
  const place = { owner: row.owner, after: row.done, limit: limits.texts }
  const found = isId('agent', row.owner)
    ? (await messagesAfter.all(tx, place)).map(({ seq, ...message }) => ({
        seq,
        text: searchText(messageOf(message)),
      }))
    : await passagesAfter.all(tx, place)
  let characters = 0
  return found.filter(({ text }, i) => (characters += text.length) <= limits.characters || i === 0)
}

function batchOf(
  row: {
    owner: string
    organization_id: string
    model: string
    generation: number
    dim: number | null
    failures: number
  },
  texts: EmbeddingBatch['texts'],
): EmbeddingBatch {
  const { owner, organization_id, model, generation, dim, failures } = row
  return { owner, organization_id, model, generation, dim, failures, texts }
}

/** The archive, or the folder, says how long its vectors really are. */
async function tellDimension(tx: Transaction, owner: string, dim: number): Promise<void> {
  const table = isId('source', owner) ? 'folders' : 'archives'
  const row = await tx.get(db.selectFrom(table).select('data').where('id', '=', owner))
  const data = row && (JSON.parse(row.data) as { embedding_config?: Record<string, unknown> | null })
  if (!data?.embedding_config) return
  const embedding_config = { ...data.embedding_config, embedding_dim: dim }
  const changed = JSON.stringify({ ...data, embedding_config })
  await tx.send(db.updateTable(table).set({ data: changed }).where('id', '=', owner))
}

function otherDimension(batch: EmbeddingBatch, got: number, dim: number | null): AppError {
  return new AppError(
    'invalid_argument',
    `${batch.model} answered vectors of ${got} numbers, and those of '${batch.owner}' have ${dim}: it is another model than ` +
      'before under the same name. Choose its embedding model again to embed it anew.',
  )
}

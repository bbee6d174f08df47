import type { Actor } from '../../core/ports/actor.ts'
import type { Transaction } from './database.ts'
import { query, sqlite } from './query.ts'

const present = query<{ owner: string }>()((p) =>
  sqlite.selectFrom('embeddings').select(['model', 'generation']).where('owner', '=', p.owner),
)
const add = query<{ owner: string; org: string; model: string }>()((p) =>
  sqlite.insertInto('embeddings').values({
    owner: p.owner,
    organization_id: p.org,
    model: p.model,
    generation: 1,
    dim: null,
    problem: null,
  }),
)
const change = query<{ owner: string; model: string; generation: number; waiting: number }>()((p) =>
  sqlite
    .updateTable('embeddings')
    .set({
      model: p.model,
      generation: p.generation,
      waiting: p.waiting,
      dim: null,
      done: 0,
      stale: 1,
      failures: 0,
      problem: null,
      retry_at: 0,
      claimed_until: 0,
    })
    .where('owner', '=', p.owner),
)
const wake = query<{ owner: string }>()((p) =>
  sqlite
    .updateTable('embeddings')
    .set({ waiting: 1 })
    .where('owner', '=', p.owner)
    .where('waiting', '=', 0)
    .where('model', '<>', ''),
)
const dropOwner = query<{ owner: string }>()((p) =>
  sqlite.deleteFrom('embeddings').where('owner', '=', p.owner),
)

/**
 * Says with which model the texts of an owner are embedded; null: with none. Another one than before embeds all of them
 * anew: old vectors are not searched any more, and removed later.
 */
export function setEmbedding(tx: Transaction, actor: Actor, owner: string, handle: string | null): void {
  const before = present.get(tx, { owner })
  const model = handle ?? ''
  if (before?.model === model || (!before && handle === null)) return
  if (!before) add.run(tx, { owner, org: actor.organization_id, model })
  else change.run(tx, { owner, model, generation: before.generation + 1, waiting: handle === null ? 0 : 1 })
}

/** Texts of an owner have come: they are to be embedded when it has a model. */
export function wakeEmbedding(tx: Transaction, owner: string): void {
  wake.run(tx, { owner })
}

/** Forgets an owner whose vectors are gone. */
export function deleteEmbedding(tx: Transaction, owner: string): void {
  dropOwner.run(tx, { owner })
}

/** Removes the vectors of these texts. */
export function deleteVectors(tx: Transaction, owner: string, seqs: readonly number[]): void {
  if (seqs.length === 0) return
  tx.run(sqlite.deleteFrom('vectors').where('owner', '=', owner).where('seq', 'in', seqs))
}

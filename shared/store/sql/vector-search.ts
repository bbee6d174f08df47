import type { Actor } from '../../core/ports/actor.ts'
import type { VectorScope } from '../../core/ports/vector-store.ts'
import { pause } from '../pause.ts'
import type { Database } from './database.ts'
import type { Connection } from './query.ts'
import { db } from './query.ts'
import type { Near, VectorIndex } from './vector-index.ts'
import { ownersOf } from './vector-owners.ts'

/** Numbers of texts read in one go. */
const PAGE = 2_000

/** Reads numbers of texts that a filter lets through, in order, beyond one; null: there is no filter. */
export type Among =
  | ((connection: Connection, owner: string, after: number, limit: number) => Promise<number[]>)
  | null

/**
 * The texts nearest to a query in a scope, best first. Owners whose model is not among `vectors` (the query's, by model)
 * have none.
 */
export async function nearestTexts(
  database: Database,
  index: VectorIndex,
  actor: Actor,
  scope: VectorScope,
  vectors: ReadonlyMap<string, Float32Array>,
  { among, limit }: { among: Among; limit: number },
): Promise<number[]> {
  const found: Near[] = []
  for (const owner of await database.read(async (c) => await ownersOf(c, actor, scope))) {
    const direction = vectors.get(owner.model)
    // A provider that changes the length of its vectors answers nothing that could be compared.
    if (direction?.length !== owner.dim) continue
    const seqs = among && (await allowed(database, owner.owner, among))
    if (seqs?.size !== 0) found.push(...(await index.nearest(owner, direction, limit, seqs)))
  }
  return found
    .sort((a, b) => b.score - a.score || b.seq - a.seq)
    .slice(0, limit)
    .map(({ seq }) => seq)
}

/** Which of these texts of a scope have no vector that a query could be compared with. */
export function withoutVector(
  database: Database,
  actor: Actor,
  scope: VectorScope,
  vectors: ReadonlyMap<string, Float32Array>,
  seqs: readonly number[],
): Promise<Set<number>> {
  return database.read(async (c) => {
    const owners = (await ownersOf(c, actor, scope)).filter(
      ({ model, dim }) => vectors.get(model)?.length === dim,
    )
    const embedded = new Set(
      (
        await c.all(
          db
            .selectFrom('vectors')
            .innerJoin('embeddings', (join) =>
              join
                .onRef('embeddings.owner', '=', 'vectors.owner')
                .onRef('embeddings.generation', '=', 'vectors.generation'),
            )
            .select('vectors.seq')
            .where(
              'vectors.owner',
              'in',
              owners.map(({ owner }) => owner),
            )
            .where('vectors.seq', 'in', seqs),
        )
      ).map(({ seq }) => seq),
    )
    return new Set(seqs.filter((seq) => !embedded.has(seq)))
  })
}

async function allowed(database: Database, owner: string, among: NonNullable<Among>): Promise<Set<number>> {
  const seqs = new Set<number>()
  for (let after = 0; ;) {
    const page = await database.read((c) => among(c, owner, after, PAGE))
    for (const seq of page) seqs.add(seq)
    if (page.length < PAGE) return seqs
    after = page.at(-1) ?? after
    await pause(0)
  }
}

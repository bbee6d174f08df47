import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import type { SearchMode } from '../../shared/core/ports/passage-store.ts'
import type { Store } from '../../shared/core/ports/store.ts'
import { newId } from '../../shared/schema/ids.ts'
import { openStore } from '../../shared/store/open-store.ts'
import { dot } from '../../shared/store/vector-math.ts'
import type { BenchContext, Scenario } from '../lib/context.ts'
import { ACTOR, sentence } from '../lib/fill.ts'
import { asking } from '../lib/postgres.ts'
import type { Row } from '../lib/report.ts'
import { percentile, sample, sum } from '../lib/stats.ts'
import { Best, DIM, madeUpVector } from '../lib/vectors.ts'

const MODEL = 'bench/embedder'
const BATCH = 500
/** The index of all vectors is there after this time at the latest. */
const INDEX_MS = 1_800_000
/** Noise of a question about a text, next to what the text has of its own. */
const QUESTION = 0.5

/** Hybrid search over one large archive, and what its prefilter by signs loses against the exact order. */
export const search: Scenario = async (context) => {
  const size = context.sized(
    { passages: 100_000, searches: 200, exact: 40 },
    { passages: 5_000, searches: 40, exact: 20 },
    { passages: 500, searches: 3, exact: 3 },
  )
  const place = await context.place()
  const store = await openStore({ ...place })
  try {
    const { archive_id, exact } = await fill(store, size, context)
    context.progress('search: measuring')
    const question = (i: number) => (i * 7919) % size.passages
    const find = async (i: number, mode: SearchMode, tags: string[] = []) => {
      const vectors = new Map([[MODEL, madeUpVector(question(i), QUESTION)]])
      const query = sentence(question(i), 3)
      return store.passages.search(ACTOR, { archive_id, query, mode, vectors, tags, limit: 10 })
    }
    const [cold = NaN] = await sample(1, () => find(0, 'hybrid'))
    if (place.address) await untilIndexed(place.address, context)
    await sample(10, (i) => find(i, 'hybrid'))
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const hybrid = await sample(size.searches, (i) => find(i, 'hybrid'))
    delay.disable()
    const idle = monitorEventLoopDelay({ resolution: 1 })
    idle.enable()
    // As long as the searches took: a busy machine stalls both.
    await setTimeout(sum(hybrid))
    idle.disable()
    const narrowed = await sample(size.searches / 4, (i) => find(i, 'hybrid', [`tag ${i % 10}`]))
    const recalls: number[] = []
    for (const [i, best] of exact.entries()) {
      const found = await find(i, 'vector')
      const texts = new Set(found.map(({ passage }) => Number(passage.metadata['index'])))
      recalls.push(best.indexes.filter((index) => texts.has(index)).length / best.indexes.length)
    }
    const what = `${size.passages} passages × ${DIM}`
    const row = (name: string, value: number, unit: Row['unit'], target?: string): Row => ({
      scenario: 'search',
      what: `${what}: ${name}`,
      unit,
      value,
      ...(target === undefined ? {} : { target }),
    })
    return [
      row('hybrid search, p50', percentile(hybrid, 0.5), 'ms', '≤ 50 ms'),
      row('hybrid search, p95', percentile(hybrid, 0.95), 'ms'),
      row('hybrid search with a tag that a tenth has, p50', percentile(narrowed, 0.5), 'ms'),
      row('the first search of a process', cold, 'ms'),
      {
        ...row('longest stall of the event loop while searching, and idle', delay.max / 1e6, 'ms', '≤ 20 ms'),
        floor: idle.max / 1e6,
      },
      row(
        'recall@10 of the prefilter against exact',
        (100 * recalls.reduce((a, b) => a + b, 0)) / recalls.length,
        '%',
      ),
    ]
  } finally {
    await store.close()
  }
}

/** Fills an archive through the store, and finds out the exact answers of the first questions on the way. */
async function fill(
  store: Store,
  size: { passages: number; exact: number },
  { progress }: BenchContext,
): Promise<{ archive_id: string; exact: Best[] }> {
  const created_at = new Date().toISOString()
  const { id } = await store.archives.create(ACTOR, {
    id: newId('archive'),
    name: 'bench',
    description: null,
    metadata: null,
    embedding: { handle: MODEL, config: null },
    created_at,
  })
  const questions = Array.from({ length: size.exact }, (_, i) =>
    madeUpVector((i * 7919) % size.passages, QUESTION),
  )
  const exact = questions.map(() => new Best(10))
  for (let done = 0; done < size.passages; done += BATCH) {
    progress(`search: ${done} of ${size.passages} passages`)
    const passages = Array.from({ length: BATCH }, (_, i) => ({
      id: newId('passage'),
      text: sentence(done + i, 40),
      tags: [`tag ${(done + i) % 10}`],
      metadata: { index: done + i },
      created_at,
    }))
    await store.passages.createIn(ACTOR, id, passages)
    const batch = await store.vectors.claim({ texts: BATCH, characters: 1e9, claim_ms: 60_000 })
    if (batch?.texts.length !== BATCH) throw new Error(`${batch?.texts.length} texts wait for vectors`)
    const vectors = batch.texts.map((_, i) => madeUpVector(done + i))
    await store.vectors.save(batch, vectors)
    for (const [i, vector] of vectors.entries())
      for (const [q, best] of exact.entries()) best.add(done + i, dot(questions[q]!, vector))
  }
  return { archive_id: id, exact }
}

/** PostgreSQL makes the index of many vectors beside the searches, from the first one on. */
async function untilIndexed(address: string, context: BenchContext): Promise<void> {
  context.progress('search: the index is made')
  await asking(address, async (client) => {
    const state = () =>
      client.query(`SELECT 1 FROM pg_class JOIN pg_index ON indexrelid = oid
        WHERE relname = 'vectors_hnsw_${DIM}' AND indisvalid
        UNION ALL SELECT 1 WHERE to_regtype('vector') IS NULL`)
    for (const end = Date.now() + INDEX_MS; (await state()).rows.length === 0; await setTimeout(200))
      if (Date.now() > end) throw new Error(`search: no index of the vectors in ${INDEX_MS / 60_000} minutes`)
  })
}

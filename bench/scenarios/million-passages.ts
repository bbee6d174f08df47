import type { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { newId } from '../../shared/schema/ids.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { bytesOf, dot } from '../../shared/store/vector-math.ts'
import type { BenchContext, Scenario } from '../lib/context.ts'
import { type Cell, vectorBytes } from '../lib/copy-format.ts'
import { ACTOR, inParallel, sentence } from '../lib/fill.ts'
import { asking, copyInto, withoutIndexes } from '../lib/postgres.ts'
import type { Row } from '../lib/report.ts'
import { percentile, sample } from '../lib/stats.ts'
import { Best, subjectVectors } from '../lib/vectors.ts'

const DIM = 256
const MODEL = 'bench/embedder'
/** How far a question is from the text it is about, next to how far texts are from each other. */
const AWAY = 0.3
const QUESTIONS = 50

/** Archives of three sizes in one index: what a search costs depends on how much of the index is its own. */
interface Archive {
  id: string
  from: number
  count: number
}

/**
 * Archival search by meaning among very many passages in PostgreSQL: what its index costs, finds and takes, next to
 * comparing with every vector. Filled with COPY; searched through the store.
 */
export const millionPassages: Scenario = async (context) => {
  const count = context.rows ?? context.sized(1_000_000, 20_000, 2_000)
  const address = await (await context.postgres()).database()
  const directory = await context.folder()
  const vectorOf = subjectVectors(DIM)
  const store = await openPostgresStore({ address, directory })
  try {
    const archives = await makeArchives(store, count)
    const rows = await asking(address, (client) => fill(client, archives, vectorOf, context))
    const [large, medium, small] = ['large', 'medium', 'small'].map((size) => archives[size]) as [
      Archive,
      Archive,
      Archive,
    ]
    const scale = `${count} passages × ${DIM}`
    const row = (what: string, unit: Row['unit'], value: number, more: Partial<Row> = {}) =>
      rows.push({ scenario: 'million-passages', what: `${scale}: ${what}`, unit, value, ...more })
    const exact = exactly([large, medium, small], vectorOf, context)
    const without = new URL(address)
    without.searchParams.set('options', '-c enable_indexscan=off')
    const scanning = await openPostgresStore({ address: without.href, directory })
    try {
      for (const archive of [large, medium, small]) {
        context.progress(`million-passages: searching ${archive.count}`)
        const find = (through: Store, mode: 'vector' | 'hybrid' | 'fts') => async (i: number) => {
          const about = questionOf(archive, i)
          const found = await through.passages.search(ACTOR, {
            archive_id: archive.id,
            query: sentence(about, 3),
            mode,
            vectors: new Map([[MODEL, vectorOf(about, AWAY)]]),
            limit: 10,
          })
          return found.map(({ passage }) => Number(passage.metadata['index']))
        }
        await sample(5, find(store, 'vector'))
        const recalls: number[] = []
        const by = await sample(QUESTIONS, async (i) => {
          const found = new Set(await find(store, 'vector')(i))
          const best = exact.get(archive)![i]!.indexes
          recalls.push(best.filter((index) => found.has(index)).length / best.length)
        })
        const all = await sample(archive === large ? 3 : 10, find(scanning, 'vector'))
        const name = `in an archive of ${archive.count}`
        row(`by meaning ${name}, p50, next to comparing all`, 'ms', percentile(by, 0.5), {
          floor: percentile(all, 0.5),
        })
        row(`by meaning ${name}, p95`, 'ms', percentile(by, 0.95))
        row(`recall@10 ${name}`, '%', (100 * recalls.reduce((a, b) => a + b, 0)) / recalls.length)
        for (const mode of ['fts', 'hybrid'] as const) {
          await sample(3, find(store, mode))
          const took = await sample(QUESTIONS, find(store, mode))
          const how = mode === 'fts' ? 'by three words' : 'by both'
          row(`${how} ${name}, p50; p95 in the next row`, 'ms', percentile(took, 0.5))
          row(`${how} ${name}, p95`, 'ms', percentile(took, 0.95))
        }
        if (archive !== large) continue
        const from = performance.now()
        await inParallel(4 * QUESTIONS, 8, async (i) => void (await find(store, 'vector')(i % QUESTIONS)))
        row('by meaning, 8 at once', 'searches/s', (4 * QUESTIONS) / ((performance.now() - from) / 1000))
      }
      const one = await sample(context.sized(100, 20, 2), (i) => addOne(store, large, count + i, vectorOf))
      row('a passage is stored and its vector saved, p50', 'ms', percentile(one, 0.5))
    } finally {
      await scanning.close()
    }
    return rows
  } finally {
    await store.close()
  }
}

async function makeArchives(store: Store, count: number): Promise<Record<string, Archive>> {
  const archives: Record<string, Archive> = {}
  let from = 0
  const make = async (size: string, passages: number) => {
    const { id } = await store.archives.create(ACTOR, {
      id: newId('archive'),
      name: size,
      description: null,
      metadata: null,
      embedding: { handle: MODEL, config: null },
      created_at: new Date().toISOString(),
    })
    archives[size] = { id, from, count: passages }
    from += passages
  }
  // A hundredth, and a hundred passages, as one agent of very many has them; the others of that size are `rest`.
  await make('medium', Math.round(count / 100))
  await make('small', 100)
  for (let i = 0; i < 9; i++) await make(`rest ${i}`, Math.round(count / 100))
  await make('large', count - from)
  return archives
}

async function fill(
  client: Client,
  archives: Record<string, Archive>,
  vectorOf: (index: number) => Float32Array,
  context: BenchContext,
): Promise<Row[]> {
  const { progress } = context
  const place = await context.folder()
  const all = Object.values(archives)
  const count = all.reduce((sum, archive) => sum + archive.count, 0)
  const created = new Date().toISOString()
  const rows: Row[] = []
  const row = (what: string, unit: Row['unit'], value: number) =>
    rows.push({ scenario: 'million-passages', what, unit, value })
  function* passages(): Generator<Cell[]> {
    for (const { id, from, count: n } of all)
      for (let i = from; i < from + n; i++) {
        if (i % 10_000 === 0) progress(`million-passages: ${i} of ${count} passages`)
        const data = JSON.stringify({ tags: [], metadata: { index: i } })
        yield [i + 1, newId('passage'), ACTOR.organization_id, id, sentence(i), created, created, data]
      }
  }
  function* vectors(): Generator<Cell[]> {
    for (const { id, from, count: n } of all)
      for (let i = from; i < from + n; i++) {
        if (i % 10_000 === 0) progress(`million-passages: ${i} of ${count} vectors`)
        const vector = vectorOf(i)
        yield [id, 1, i + 1, new Uint8Array(), bytesOf(vector), vectorBytes(vector)]
      }
  }
  const columns = 'seq id organization_id archive_id text created_at updated_at data'.split(' ')
  const began = performance.now()
  await client.query(`SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = 0`)
  await withoutIndexes(client, ['passages_fts_by_word'], async () => {
    await copyInto(client, 'passages', columns, passages(), place)
    progress('million-passages: words')
    await client.query(
      `INSERT INTO passages_fts (rowid, owner, text) SELECT seq, owner,
        to_tsvector('loci', text) || ('''=' || owner || '''')::tsvector
        FROM (SELECT seq, text, regexp_replace(archive_id, '[^[:alnum:]]', '', 'g') AS owner FROM passages) AS p`,
    )
  })
  const inserted = 'owner generation seq bits vector embedding'.split(' ')
  await copyInto(client, 'vectors', inserted, vectors(), place)
  await client.query(`SELECT setval(pg_get_serial_sequence('passages', 'seq'), ${count})`)
  for (const archive of all) {
    await client.query('UPDATE archives SET passage_count = $2 WHERE id = $1', [archive.id, archive.count])
    await client.query('UPDATE embeddings SET dim = $2, done = $3, waiting = 0 WHERE owner = $1', [
      archive.id,
      DIM,
      archive.from + archive.count,
    ])
  }
  row(
    `${count} passages and vectors filled with COPY`,
    'rows/s',
    count / ((performance.now() - began) / 1000),
  )
  progress('million-passages: the index of vectors')
  const from = performance.now()
  // As store/postgres/pgvector.ts makes it at the first search, which would wait for it.
  await client.query(
    `CREATE INDEX vectors_hnsw_${DIM} ON vectors USING hnsw ((embedding::vector(${DIM})) vector_cosine_ops)
      WHERE vector_dims(embedding) = ${DIM}`,
  )
  row(`HNSW over ${count} vectors × ${DIM} is built by one process`, 's', (performance.now() - from) / 1000)
  await client.query('VACUUM ANALYZE')
  const sizes = {
    [`HNSW of ${count} × ${DIM}`]: `pg_relation_size('vectors_hnsw_${DIM}')`,
    'the vectors themselves': "pg_table_size('vectors')",
    'their other indexes': `pg_indexes_size('vectors') - pg_relation_size('vectors_hnsw_${DIM}')`,
    'the passages, with their indexes': "pg_total_relation_size('passages')",
    'their words, with the index': "pg_total_relation_size('passages_fts')",
  }
  for (const [what, size] of Object.entries(sizes)) {
    const { rows: found } = await client.query(`SELECT (${size}) / 1048576.0::float8 AS mb`)
    row(what, 'MB', Number((found as { mb: number }[])[0]?.mb))
  }
  return rows
}

/** The ten texts of each archive that are really nearest to each of its questions. */
function exactly(
  archives: readonly Archive[],
  vectorOf: (index: number, away?: number) => Float32Array,
  { progress }: BenchContext,
): Map<Archive, Best[]> {
  const all = new Map<Archive, Best[]>()
  for (const archive of archives) {
    progress(`million-passages: what is nearest among ${archive.count}`)
    const questions = Array.from({ length: QUESTIONS }, (_, i) => vectorOf(questionOf(archive, i), AWAY))
    const best = questions.map(() => new Best(10))
    for (let i = archive.from; i < archive.from + archive.count; i++) {
      const vector = vectorOf(i)
      for (const [q, question] of questions.entries()) best[q]!.add(i, dot(question, vector))
    }
    all.set(archive, best)
  }
  return all
}

function questionOf({ from, count }: Archive, i: number): number {
  return from + ((i * 7919) % count)
}

/** As a tool and the embedding worker do it. */
async function addOne(
  store: Store,
  archive: Archive,
  index: number,
  vectorOf: (index: number) => Float32Array,
): Promise<void> {
  const created_at = new Date().toISOString()
  const passage = { id: newId('passage'), text: sentence(index), tags: [], metadata: { index }, created_at }
  await store.passages.createIn(ACTOR, archive.id, [passage])
  const batch = await store.vectors.claim({ texts: 10, characters: 1e9, claim_ms: 60_000 })
  if (!batch) throw new Error('no text waits for a vector')
  await store.vectors.save(
    batch,
    batch.texts.map(() => vectorOf(index)),
  )
}

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { newId } from '../../shared/schema/ids.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { ADA, anAgent } from '../contracts/store/samples.ts'
import { eventually } from '../support/loci.ts'
import { startServer, withPgVector } from './server.ts'
import { describeStoreOn } from './store-on.ts'

const DIM = 48
/** More than a search waits for. */
const COUNT = 2_400
/** How often is searched for what is known. */
const QUESTIONS = 20
const MODEL = 'test/random'

/** The same numbers in each run. */
function* random(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state / 2 ** 31 - 1
  }
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, n, i) => sum + n * (y[i] ?? 0), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

/** Stores passages with vectors, more than a search waits for the index of. */
async function fill(store: Store) {
  const made = anAgent('ada')
  const agent = await store.agents.create(ADA, {
    ...made,
    agent: { ...made.agent, embedding: MODEL, embedding_config: { embedding_model: MODEL } as never },
  })
  const numbers = random(7)
  const vectorOf = () => Float32Array.from({ length: DIM }, () => numbers.next().value)
  const vectors = new Map<string, Float32Array>()
  for (let from = 0; from < COUNT; from += 500) {
    const passages = Array.from({ length: 500 }, (_, i) => ({
      id: newId('passage'),
      text: `text ${from + i}`,
      tags: [],
      metadata: {},
      created_at: new Date(0).toISOString(),
    }))
    for (const { text } of passages) vectors.set(text, vectorOf())
    await store.passages.create(ADA, agent.id, passages)
  }
  for (;;) {
    const batch = await store.vectors.claim({ texts: 500, characters: 1_000_000, claim_ms: 60_000 })
    if (!batch) break
    await store.vectors.save(
      batch,
      batch.texts.map(({ text }) => vectors.get(text) ?? null),
    )
  }
  const search = (wanted: Float32Array, through = store) =>
    through.passages.search(ADA, {
      agent_id: agent.id,
      query: 'anything',
      vectors: new Map([[MODEL, wanted]]),
      mode: 'vector',
      limit: 10,
    })
  return { vectors, vectorOf, search }
}

describeStoreOn('with pgvector', withPgVector)

describe('the index of pgvector', function () {
  this.timeout(120_000)

  it('finds nearly all of the passages that are nearest', async () => {
    const server = await startServer(withPgVector())
    const directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    await server.create('vectors')
    const store = await openPostgresStore({ address: server.address('vectors'), directory })
    const client = new Client({ connectionString: server.address('vectors') })
    try {
      const { vectors, vectorOf, search } = await fill(store)
      // The first search has the index made, and does not wait for it.
      assert.equal((await search(vectorOf())).length, 10)
      await client.connect()
      const deadline = performance.now() + 60_000
      for (;;) {
        const { rows } = await client.query(
          "SELECT FROM pg_index WHERE indexrelid = to_regclass('vectors_hnsw_48') AND indisvalid",
        )
        if (rows.length === 1) break
        assert.ok(performance.now() < deadline, 'the index is not there')
      }
      // The statistics that autovacuum takes within a minute.
      await client.query('ANALYZE vectors')
      const searched = await openPostgresStore({ address: server.address('vectors'), directory })
      let found = 0
      try {
        for (let i = 0; i < QUESTIONS; i++) {
          const wanted = vectorOf()
          const exact = [...vectors]
            .sort(([, a], [, b]) => cosine(wanted, b) - cosine(wanted, a))
            .slice(0, 10)
            .map(([text]) => text)
          const matches = await search(wanted, searched)
          found += matches.filter(({ passage }) => exact.includes(passage.text)).length
        }
      } finally {
        // What its connections counted is told when they end, at the latest.
        await searched.close()
      }
      assert.ok(found >= 9 * QUESTIONS, `${found} of ${10 * QUESTIONS}`)
      const scans = async () => {
        const { rows } = await client.query<{ idx_scan: string }>(
          "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'vectors_hnsw_48'",
        )
        return Number(rows[0]?.idx_scan) >= QUESTIONS ? true : null
      }
      await eventually(`each of ${QUESTIONS} searches has read the index, and has not compared all`, scans)
    } finally {
      await client.end()
      await store.close()
      await server.stop()
      await rm(directory, { recursive: true })
    }
  })

  it('that cannot be made is told of once, and everything is found without it', async () => {
    const server = await startServer(withPgVector())
    const directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    await server.create('vectors')
    const address = server.address('vectors')
    const notices: string[] = []
    const store = await openPostgresStore({ address, directory, onNotice: (text) => void notices.push(text) })
    const client = new Client({ connectionString: address })
    try {
      const { vectorOf, search } = await fill(store)
      await client.connect()
      await client.query(`CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no indexes today'; END $$`)
      await client.query(`CREATE EVENT TRIGGER refusing ON ddl_command_start WHEN TAG IN ('CREATE INDEX')
        EXECUTE FUNCTION refuse()`)
      assert.equal((await search(vectorOf())).length, 10)
      await eventually('the operator hears of it', () => (notices.length > 0 ? true : null))
      assert.equal((await search(vectorOf())).length, 10)
      assert.equal(notices.length, 1)
      assert.match(notices[0] ?? '', /index of vectors with 48 numbers .*no indexes today/)
    } finally {
      await client.end()
      await store.close()
      await server.stop()
      await rm(directory, { recursive: true })
    }
  })
})

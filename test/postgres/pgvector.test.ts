import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { newId } from '../../shared/schema/ids.ts'
import { openDatabase } from '../../shared/store/postgres/database.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { SignIndex } from '../../shared/store/sql/vector-index.ts'
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

  it('takes in what was stored before it was switched on, which is found all the time', async () => {
    const server = await startServer(withPgVector())
    const directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    await server.create('later')
    const client = new Client({ connectionString: server.address('later') })
    // Only the superuser may make extensions.
    const address = server.address('later').replace('loci@', 'plain@')
    const stores: Store[] = []
    const open = async (onNotice?: (sentence: string) => void) => {
      const store = await openPostgresStore({ address, directory, ...(onNotice ? { onNotice } : {}) })
      stores.push(store)
      return store
    }
    const left = async () => {
      const query = 'SELECT count(*)::int AS n FROM vectors WHERE embedding IS NULL'
      return (await client.query<{ n: number }>(query)).rows[0]?.n
    }
    try {
      await client.connect()
      await client.query('CREATE ROLE plain LOGIN; GRANT ALL ON SCHEMA public TO plain')
      const older = await open()
      const { vectors, vectorOf, search } = await fill(older)
      const columns =
        "SELECT FROM information_schema.columns WHERE column_name = 'embedding' AND table_name = 'vectors'"
      assert.equal((await client.query(columns)).rowCount, 0, 'it was there from the beginning')
      /** Searches for what is there, and has no like. */
      const finds = async (store: Store, text: string) => {
        const [first] = await search(vectors.get(text) ?? assert.fail(text), store)
        assert.equal(first?.passage.text, text)
      }
      await client.query('CREATE EXTENSION vector')
      await client.query('ALTER TABLE vectors ADD COLUMN embedding vector')
      // Until somebody lets the rows go, they are compared as before.
      await client.query('BEGIN; SELECT FROM vectors FOR UPDATE')
      const notices: string[] = []
      const newer = await open((sentence) => notices.push(sentence))
      await finds(newer, 'text 7')
      await finds(newer, 'text 1234')
      const other = await open()
      await finds(other, 'text 77')
      await client.query('COMMIT')
      await eventually(
        'all of them are in pgvector',
        async () => {
          await finds(newer, 'text 1')
          return (await left()) === 0 ? true : null
        },
        60_000,
      )
      await eventually('it says so', () => (notices.length >= 2 ? true : null))
      assert.match(
        notices[0] ?? '',
        /^Vectors in the database .* without pgvector are brought into it.* of 2500/,
      )
      assert.match(notices.at(-1) ?? '', /^All vectors in the database .* are in pgvector/)
      await finds(newer, 'text 7')
      // One that has not been restarted goes on beside them, and is found by them.
      const agent_id =
        (await older.agents.list(ADA, {}, { limit: 1, order: 'asc' }, []))[0]?.id ?? assert.fail()
      const late = {
        id: newId('passage'),
        text: 'late',
        tags: [],
        metadata: {},
        created_at: new Date(0).toISOString(),
      }
      await older.passages.create(ADA, agent_id, [late])
      const batch = await older.vectors.claim({ texts: 1, characters: 1_000, claim_ms: 60_000 })
      const wanted = vectorOf()
      await older.vectors.save(batch ?? assert.fail(), [wanted])
      assert.equal(await left(), 1)
      vectors.set('late', wanted)
      await finds(newer, 'late')
      await finds(older, 'late')
      await eventually('the late one is in pgvector', async () => ((await left()) === 0 ? true : null))
      // And without it again, also what a server with it has stored, which notes no signs.
      for (const store of stores.splice(0)) await store.close()
      await client.query("UPDATE vectors SET bits = ''; DROP EXTENSION vector CASCADE")
      const again = await open()
      await finds(again, 'text 7')
      const database = await openDatabase({ address, version: '1.0.0' })
      try {
        const { rows } = await client.query<{ owner: string; generation: string }>(
          'SELECT owner, generation FROM vectors LIMIT 1',
        )
        const { owner, generation } = rows[0] ?? assert.fail()
        const target = { owner, generation: Number(generation), dim: DIM, model: MODEL }
        const direction = vectors.get('text 2400') ?? assert.fail()
        const [nearest] = await new SignIndex(database).nearest(target, direction, 1, null)
        assert.ok((nearest?.score ?? 0) > 0.999, String(nearest?.score))
      } finally {
        await database.close()
      }
    } finally {
      for (const store of stores) await store.close()
      await client.end()
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

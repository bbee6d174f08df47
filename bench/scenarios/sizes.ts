import type { Client } from 'pg'
import { newId } from '../../shared/schema/ids.ts'
import { openLoci } from '../../shared/server/main.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { anAgent } from '../../test/contracts/store/samples.ts'
import { startScriptedModel } from '../../test/support/scripted-model.ts'
import type { Scenario } from '../lib/context.ts'
import { ACTOR, inParallel, sentence } from '../lib/fill.ts'
import { asking } from '../lib/postgres.ts'
import type { Row } from '../lib/report.ts'
import { MODEL } from '../lib/servers.ts'
import { DIM, madeUpVector } from '../lib/vectors.ts'

const QUESTION_WORDS = 30
const ANSWER_WORDS = 60
const PASSAGE_WORDS = 60
const EMBEDDER = 'bench/embedder'

/** What each table takes, with its indexes and what is kept outside of its rows, in bytes. */
type Sizes = Map<string, number>

/**
 * What an agent, a turn, a passage and a vector take in PostgreSQL, with all that is kept of them: made as users make
 * them, and divided by how many there are.
 */
export const sizes: Scenario = async (context) => {
  const size = context.sized(
    { agents: 1_000, turns: 10_000, passages: 20_000, vectors: 5_000 },
    { agents: 100, turns: 300, passages: 1_000, vectors: 500 },
    { agents: 10, turns: 100, passages: 500, vectors: 500 },
  )
  const address = await (await context.postgres()).database()
  const directory = await context.folder()
  const rows: Row[] = []
  const row = (what: string, value: number) =>
    rows.push({ scenario: 'sizes', what, unit: 'bytes', value: Math.round(value) })
  /** Says what came to be since `before` for each of `count`, and in which tables most of it is. */
  const tell = (what: string, count: number, before: Sizes, after: Sizes) => {
    const grown = [...after]
      .map(([table, bytes]) => [table, (bytes - (before.get(table) ?? 0)) / count] as const)
      .sort(([, a], [, b]) => b - a)
    const whole = grown.reduce((sum, [, bytes]) => sum + bytes, 0)
    row(what, whole)
    for (const [table, bytes] of grown) if (bytes > whole / 20) row(`${what}: ${table}`, bytes)
  }

  const model = await startScriptedModel([], {
    models: [{ id: 'bench', context_length: 1_000_000 }],
    loop: (_, index) => ({ text: sentence(index, ANSWER_WORDS) }),
    forget: true,
  })
  const env = { OPENAI_API_KEY: 'bench', OPENAI_BASE_URL: model.url }
  const loci = await openLoci({ data: directory, store: address, env, discover_local: false })
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    const request = new Request(`http://127.0.0.1${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    const answer = await loci.fetch(request)
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as { id: string }
  }
  try {
    const start = await asking(address, measure)
    const agents: string[] = []
    context.progress('sizes: agents')
    await inParallel(size.agents, 4, async (i) => {
      const memory_blocks = [
        { label: 'persona', value: sentence(i, 30) },
        { label: 'human', value: sentence(i + 1, 30) },
      ]
      agents.push((await post('/v1/agents/', { name: `agent ${i}`, model: MODEL, memory_blocks })).id)
    })
    const withAgents = await asking(address, measure)
    tell('an agent with two blocks of 30 words', size.agents, start, withAgents)
    context.progress('sizes: turns')
    // Each of them has one at a time.
    const talking = agents.slice(0, size.turns / 100)
    await inParallel(talking.length, 4, async (n) => {
      for (let i = 0; i < 100; i++)
        await post(`/v1/agents/${talking[n]!}/messages`, { input: sentence(n * 100 + i, QUESTION_WORDS) })
    })
    const withTurns = await asking(address, measure)
    const turn = `a turn of ${QUESTION_WORDS} words and ${ANSWER_WORDS} in answer`
    tell(turn, size.turns, withAgents, withTurns)
  } finally {
    await loci.close()
    await model.close()
  }

  const store = await openPostgresStore({ address, directory })
  try {
    const make = async (count: number, embedding: string | null) => {
      const made = anAgent(`keeper of ${count}`)
      const config = embedding === null ? null : { embedding_model: embedding }
      const agent = { ...made.agent, embedding, embedding_config: config as never }
      const { id } = await store.agents.create(ACTOR, { ...made, agent })
      for (let from = 0; from < count; from += 500) {
        const created_at = new Date().toISOString()
        const passages = Array.from({ length: 500 }, (_, i) => {
          return {
            id: newId('passage'),
            text: sentence(from + i, PASSAGE_WORDS),
            tags: [],
            metadata: {},
            created_at,
          }
        })
        await store.passages.create(ACTOR, id, passages)
      }
      return id
    }
    context.progress('sizes: passages')
    const before = await asking(address, measure)
    await make(size.passages, null)
    const withPassages = await asking(address, measure)
    tell(`a passage of ${PASSAGE_WORDS} words`, size.passages, before, withPassages)
    context.progress('sizes: vectors')
    const agent_id = await make(size.vectors, EMBEDDER)
    const unembedded = await asking(address, measure)
    let done = 0
    for (;;) {
      const batch = await store.vectors.claim({ texts: 500, characters: 1_000_000, claim_ms: 60_000 })
      if (!batch) break
      await store.vectors.save(
        batch,
        batch.texts.map(() => madeUpVector(done++)),
      )
      // The first search by meaning makes the index, at once while vectors are few; the others are put into it.
      const vectors = new Map([[EMBEDDER, madeUpVector(1, 0.3)]])
      await store.passages.search(ACTOR, { agent_id, query: 'any', mode: 'vector', limit: 10, vectors })
    }
    const vector = `a vector of ${DIM} numbers`
    tell(vector, done, unembedded, await asking(address, measure))
    for (const [what, bytes] of await asking(address, partsOfVectors)) row(`${vector}: ${what}`, bytes / done)
  } finally {
    await store.close()
  }
  return rows
}

/** After a vacuum, so that what is dead does not count, and words that wait for their index are in it. */
async function measure(client: Client): Promise<Sizes> {
  await client.query('VACUUM (ANALYZE)')
  const { rows } = await client.query(
    `SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class
      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
  )
  return new Map((rows as { name: string; bytes: string }[]).map(({ name, bytes }) => [name, Number(bytes)]))
}

/** What the rows of vectors, what is kept outside of them, and each of their indexes take. */
async function partsOfVectors(client: Client): Promise<[string, number][]> {
  const { rows } = await client.query(
    `SELECT relname AS name, pg_relation_size(oid) AS bytes FROM pg_class WHERE oid = 'vectors'::regclass
        OR oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'vectors'::regclass)
        OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'vectors'::regclass)`,
  )
  return (rows as { name: string; bytes: string }[]).map(({ name, bytes }) => [
    name.startsWith('pg_toast') ? 'outside of the rows' : name === 'vectors' ? 'rows' : `index ${name}`,
    Number(bytes),
  ])
}

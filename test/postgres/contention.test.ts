import assert from 'node:assert/strict'
import { Client } from 'pg'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'
import { startServer, type TestServer } from './server.ts'

const EDITS = 50

describe('many who change one thing at once', function () {
  this.timeout(120_000)
  let server: TestServer
  let loci: TestLoci
  let other: TestLoci
  let locker: Client

  before(async () => {
    server = await startServer()
    await server.create('loci')
    const env = { LOCI_STORE: server.address('loci') }
    ;[loci, other] = await Promise.all([startLoci({ env }), startLoci({ env })])
    locker = new Client({ connectionString: server.address('loci') })
    await locker.connect()
  })
  after(async () => {
    await locker?.end()
    await loci?.close()
    await other?.close()
    await server?.stop()
  })
  afterEach(() => assert.deepEqual([...loci.failures, ...other.failures], []))

  async function counts(): Promise<{ back: number; deadlocks: number }> {
    const { rows } = await locker.query(
      `SELECT pg_stat_clear_snapshot(), xact_rollback::int AS back, deadlocks::int FROM pg_stat_database
       WHERE datname = current_database()`,
    )
    return (rows as { back: number; deadlocks: number }[])[0] ?? { back: 0, deadlocks: 0 }
  }

  async function aBlock(label: string): Promise<string> {
    const { body } = await loci.http('POST', '/v1/blocks/', { label, value: '' })
    return (body as { id: string }).id
  }

  /** What is stored: the value, its version and how many changes the history has. */
  async function stored(id: string): Promise<{ value: string; version: number; changes: number }> {
    const { rows } = await locker.query(
      `SELECT value, version::int, (SELECT count(*)::int FROM block_history WHERE block_id = blocks.id) AS changes
       FROM blocks WHERE id = $1`,
      [id],
    )
    const [row] = rows as { value: string; version: number; changes: number }[]
    assert.ok(row)
    return row
  }

  const waiting = () =>
    eventually('a statement waits for a lock', async () => {
      const { rows } = await locker.query(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'loci' AND wait_event_type = 'Lock'",
      )
      return rows.length > 0 ? true : null
    })

  it(`${EDITS} edits of one shared block at once: each is made or refused with 503, and none is lost`, async () => {
    const id = await aBlock('hot')
    const before = await counts()
    const began = performance.now()
    const answers = await Promise.all(
      Array.from({ length: EDITS }, (_, n) =>
        (n % 2 === 0 ? loci : other).http('PATCH', `/v1/blocks/${id}`, { value: `edit ${n}` }),
      ),
    )
    const took = Math.round(performance.now() - began)
    const made = answers.filter(({ status }) => status === 200)
    for (const { status } of answers) assert.ok(status === 200 || status === 503, String(status))
    const { changes, value } = await stored(id)
    // The first is how it was made.
    assert.equal(changes - 1, made.length, 'the history has another number of changes than were acknowledged')
    assert.match(value, /^edit \d+$/)
    // Statistics of a connection come some seconds later.
    const retries = await eventually('transactions that ran again are counted', async () => {
      const more = (await counts()).back - before.back
      return more > 0 ? more : null
    })
    console.log(
      `      ${made.length} of ${EDITS} made in ${took} ms, at least ${retries} transactions run again`,
    )
  })

  it('a row that another has changed meanwhile: the command runs again', async () => {
    const id = await aBlock('serial')
    await locker.query('BEGIN')
    await locker.query("UPDATE blocks SET description = 'theirs' WHERE id = $1", [id])
    const edit = loci.http('PATCH', `/v1/blocks/${id}`, { value: 'ours' })
    await waiting()
    await locker.query('COMMIT')
    assert.equal((await edit).status, 200)
    const { body } = await other.http('GET', `/v1/blocks/${id}`)
    assert.equal((body as { value: string }).value, 'ours')
    assert.equal((body as { description: string }).description, 'theirs')
  })

  it('a deadlock: the one that PostgreSQL ends runs again', async () => {
    const id = await aBlock('dead')
    const { deadlocks } = await counts()
    await locker.query('BEGIN')
    await locker.query('LOCK TABLE block_history IN SHARE MODE')
    // It has the row and waits for the table.
    const edit = loci.http('PATCH', `/v1/blocks/${id}`, { value: 'ours' })
    await waiting()
    // We have the table and wait for the row. Who waits longest finds the deadlock, and is ended.
    await locker.query("UPDATE blocks SET description = 'theirs' WHERE id = $1", [id])
    await locker.query('COMMIT')
    assert.equal((await edit).status, 200)
    assert.deepEqual(await stored(id), { value: 'ours', version: 2, changes: 2 })
    await eventually('PostgreSQL has counted the deadlock', async () =>
      (await counts()).deadlocks > deadlocks ? true : null,
    )
  })

  it('a lock that is not given back is answered 503 after the deadline, and nothing is half-written', async () => {
    const id = await aBlock('held')
    const before = await stored(id)
    await locker.query('BEGIN')
    await locker.query('SELECT 1 FROM blocks WHERE id = $1 FOR UPDATE', [id])
    const began = performance.now()
    const answer = await loci.http('PATCH', `/v1/blocks/${id}`, { value: 'ours' })
    const took = performance.now() - began
    await locker.query('ROLLBACK')
    assert.equal(answer.status, 503)
    assert.equal(answer.headers.get('retry-after'), '1')
    assert.match(JSON.stringify(answer.body), /took too long .*nothing was written\. Try again/)
    assert.ok(took < 15_000, `${took} ms`)
    assert.deepEqual(await stored(id), before)
    assert.equal((await loci.http('PATCH', `/v1/blocks/${id}`, { value: 'ours' })).status, 200)
  })
})

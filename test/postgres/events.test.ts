import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { aBlock, ADA } from '../contracts/store/samples.ts'
import { eventually } from '../support/loci.ts'
import { startServer, type TestServer } from './server.ts'

/** Somebody who watches from an event on. */
interface Watch {
  readonly seen: number[]
  end(): Promise<void>
}

function watch(store: Store, after = 0): Watch {
  const seen: number[] = []
  const abort = new AbortController()
  const reading = (async () => {
    for await (const event of store.events.watch(ADA, after, { signal: abort.signal })) seen.push(event.id)
  })()
  return {
    seen,
    async end() {
      abort.abort()
      await reading
    },
  }
}

describe('events in PostgreSQL', function () {
  this.timeout(120_000)
  let server: TestServer
  let directory: string
  let address: string
  let client: Client
  let made = 0
  const opened: Store[] = []
  const watches: Watch[] = []

  before(async () => {
    server = await startServer()
    directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    await server.create('migrated')
    await (await openPostgresStore({ address: server.address('migrated'), directory })).close()
  })
  after(async () => {
    await server?.stop()
    await rm(directory, { recursive: true })
  })
  beforeEach(async () => {
    const database = `events_${made++}`
    await server.create(database, 'migrated')
    address = server.address(database)
    client = new Client({ connectionString: address, application_name: 'test' })
    await client.connect()
  })
  afterEach(async () => {
    for (const each of watches.splice(0)) await each.end()
    for (const store of opened.splice(0)) await store.close()
    await client.end()
  })

  async function open(query = ''): Promise<Store> {
    const store = await openPostgresStore({ address: address + query, directory })
    opened.push(store)
    return store
  }
  function watching(store: Store, after?: number): Watch {
    const made = watch(store, after)
    watches.push(made)
    return made
  }
  const write = (store: Store, label: string) => store.blocks.create(ADA, aBlock(label, ''))
  async function ids(order = 'xid, id'): Promise<number[]> {
    const { rows } = await client.query(`SELECT id FROM events ORDER BY ${order}`)
    return (rows as { id: string }[]).map(({ id }) => Number(id))
  }
  /** Sessions of Locis that listen now; they do before they tell others of anything. */
  async function listening(): Promise<number> {
    const { rows } = await client.query(
      `SELECT count(*)::int AS n FROM pg_stat_activity
       WHERE datname = current_database() AND query ~ '^(LISTEN|NOTIFY) ' AND state = 'idle'`,
    )
    return (rows as { n: number }[])[0]?.n ?? 0
  }
  /** Ends those that listen; how many. */
  async function kill(): Promise<number> {
    const { rowCount } = await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'loci events'`,
    )
    return rowCount ?? 0
  }
  const reached = (label: string, each: Watch, count: number) =>
    eventually(label, () => (each.seen.length >= count ? true : null), 30_000)

  it('are missed by nobody and seen once, in order, while the connections that listen are killed', async () => {
    const [one, other] = [await open(), await open()]
    const all = [watching(one), watching(other)]
    await eventually('both listen', async () => ((await listening()) === 2 ? true : null))
    const stop = new AbortController()
    let written = 0
    const writers = [one, other, one, other].map(async (store) => {
      while (!stop.signal.aborted) {
        await write(store, `b${written}`)
        written++
      }
    })
    let killed = 0
    while (killed < 20) {
      killed += await kill()
      const enough = written + 5
      await eventually('the writers go on', () => (written >= enough ? true : null))
    }
    stop.abort()
    await Promise.all(writers)
    const expected = await ids()
    assert.equal(expected.length, written)
    for (const each of all) {
      await reached('everything is seen', each, written)
      assert.deepEqual(each.seen, expected)
    }
    await kill()
    await eventually('both listen again', async () => ((await listening()) === 2 ? true : null))
    await write(one, 'after it')
    for (const each of all) await reached('what comes later is seen', each, written + 1)
  })

  it('are listened for also when that was not possible at first', async () => {
    const store = await open('&pool=1')
    const outside = new Client({ connectionString: server.address('postgres') })
    await outside.connect()
    const accept = (yes: boolean) =>
      outside.query(`ALTER DATABASE ${client.database ?? ''} ALLOW_CONNECTIONS ${yes}`)
    try {
      await accept(false)
      const each = watching(store)
      await write(store, 'x')
      await reached('it is seen', each, 1)
      assert.equal(await listening(), 0)
    } finally {
      await accept(true)
      await outside.end()
    }
    await eventually('it listens', async () => ((await listening()) === 1 ? true : null))
  })

  it('are looked for where nobody listens', async () => {
    const [one, other] = [await open('&listen=off'), await open('&listen=off')]
    const each = watching(other)
    for (let i = 0; i < 20; i++) await write(one, `b${i}`)
    await reached('all are seen', each, 20)
    assert.deepEqual(each.seen, await ids())
    assert.equal(await listening(), 0)
  })

  it('are kept back by a transaction that began before them, and all come when it ends', async () => {
    const [one, other] = [await open(), await open()]
    const each = watching(other)
    await write(one, 'first')
    await reached('the first is seen', each, 1)
    await client.query('BEGIN')
    await client.query('SELECT pg_current_xact_id()')
    const second = new Client({ connectionString: address })
    await second.connect()
    for (let i = 0; i < 30; i++) await write(i % 2 ? one : other, `b${i}`)
    await second.query('NOTIFY loci_events')
    await second.end()
    assert.equal(each.seen.length, 1)
    await client.query('COMMIT')
    await reached('all are seen', each, 31)
    assert.deepEqual(each.seen, await ids())
  })

  it('need no other one after them to be seen, however others overlap with them', async () => {
    const [one, other] = [await open(), await open()]
    const each = watching(other)
    for (let i = 1; i <= 60; i++) {
      await client.query('BEGIN')
      await client.query('SELECT pg_current_xact_id()')
      const ended = client.query(`SELECT pg_sleep(${(i % 12) * 0.002})`).then(() => client.query('COMMIT'))
      await write(one, `b${i}`)
      await ended
      await reached(`event ${i} is seen`, each, i)
    }
    assert.deepEqual(each.seen, await ids())
  })

  it('are gone on with from any of them, though a later one may have a lower id', async () => {
    const store = await open()
    await client.query('BEGIN')
    await client.query('SELECT pg_current_xact_id()')
    await write(store, 'of the younger transaction')
    await client.query(
      `INSERT INTO events (organization_id, type, object_id, agent_id, date)
       SELECT organization_id, type, 'block-older', agent_id, date FROM events`,
    )
    await client.query('COMMIT')
    const [low = 0, high = 0] = await ids('id')
    assert.deepEqual(await ids(), [high, low])
    assert.equal(await store.events.lastId(), low)
    for (const [after, rest] of [
      [0, [high, low]],
      [high, [low]],
      [low, []],
    ] as const) {
      assert.ok(await store.events.reaches(after))
      const each = watching(store, after)
      await write(store, 'to be sure that all are seen')
      const newest = await store.events.lastId()
      await eventually('the newest is seen', () => (each.seen.includes(newest) ? true : null))
      assert.deepEqual(
        each.seen.filter((id) => id === low || id === high),
        rest,
      )
    }
    assert.equal(await store.events.reaches(high + 100), false)
  })

  it('are seen once each in a storm of notifications', async () => {
    const [one, other] = [await open(), await open()]
    const all = Array.from({ length: 20 }, () => watching(other))
    await eventually('it listens', async () => ((await listening()) >= 1 ? true : null))
    const storm = (async () => {
      for (let i = 0; i < 10; i++)
        await client.query(`SELECT pg_notify('loci_events', n::text) FROM generate_series(1, 5000) AS n`)
    })()
    for (let i = 0; i < 30; i++) await write(one, `b${i}`)
    await storm
    const expected = await ids()
    for (const each of all) {
      await reached('all are seen', each, expected.length)
      assert.deepEqual(each.seen, expected)
    }
  })
})

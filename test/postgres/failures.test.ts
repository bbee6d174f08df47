import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { isAppError } from '../../shared/schema/errors.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { aBlock, aCommit, ADA, anAgent, aRun, DONE } from '../contracts/store/samples.ts'
import { eventually, startLoci } from '../support/loci.ts'
import { type Forwarder, startForwarder } from './forwarder.ts'
import { startServer, type TestServer } from './server.ts'

describe('a PostgreSQL that fails', function () {
  this.timeout(120_000)
  let server: TestServer
  let directory: string
  let made = 0

  before(async () => {
    server = await startServer()
    directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
  })
  after(async () => {
    await server?.stop()
    await rm(directory, { recursive: true })
  })

  async function database(query = ''): Promise<string> {
    const name = `failing_${made++}`
    await server.create(name)
    return server.address(name) + query
  }

  async function withStore(work: (store: Store) => Promise<void>): Promise<void> {
    const store = await openPostgresStore({ address: await database(), directory })
    try {
      await work(store)
    } finally {
      await store.close()
    }
  }

  it('loses and doubles nothing that was acknowledged when it crashes in the middle', () =>
    withStore(async (store) => {
      const block = await store.blocks.create(ADA, aBlock('log', '', { limit: 1_000_000 }))
      const acknowledged: number[] = []
      let next = 0
      const stop = new AbortController()
      const writer = async () => {
        while (!stop.signal.aborted) {
          const n = next++
          try {
            await store.blocks.edit(ADA, block.id, { mode: 'append', text: String(n) })
            acknowledged.push(n)
          } catch (error) {
            assert.ok(isAppError(error, 'store_unavailable'), String(error))
          }
        }
      }
      const writers = Array.from({ length: 4 }, writer)
      for (let i = 0; i < 3; i++) {
        const enough = acknowledged.length + 20
        await eventually('the writers go on', () => (acknowledged.length >= enough ? true : null))
        await server.crash()
      }
      stop.abort()
      await Promise.all(writers)
      const value = (await store.blocks.get(ADA, block.id))?.value ?? ''
      const stored = value.split('\n').filter(Boolean).map(Number)
      assert.equal(new Set(stored).size, stored.length, 'an edit was made twice')
      const lost = acknowledged.filter((n) => !stored.includes(n))
      assert.deepEqual(lost, [])
      await store.ready()
    }))

  it('keeps a turn that was open when it crashed', () =>
    withStore(async (store) => {
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const run = aRun(agent.id)
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
      await server.crash()
      await store.turns.recover()
      await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
      assert.equal((await store.turns.getRun(ADA, run.id))?.status, 'completed')
    }))

  it('says what is wrong with an address', async () => {
    const cases: [string, RegExp][] = [
      ['mysql://localhost/loci', /postgres:\/\/user:password@host/],
      ['postgres://loci@127.0.0.1:1/loci', /127\.0\.0\.1:1\/loci cannot be used: nothing listens there/],
      [server.address('nowhere'), /database "nowhere" does not exist\. Create it first/],
      [`${server.address('postgres')}&pool=many`, /pool=many .* is not a whole number/],
    ]
    for (const [address, message] of cases)
      await assert.rejects(openPostgresStore({ address, directory }), { message })
  })

  it('that accepts connections and does not answer is not waited for at the start', async () => {
    const way = await startForwarder(server.folder)
    way.silence()
    try {
      const began = performance.now()
      await assert.rejects(
        openPostgresStore({ address: `postgres://loci@127.0.0.1:${way.port}/loci`, directory }),
        { code: 'store_unavailable', message: /accepts connections and does not answer/ },
      )
      assert.ok(performance.now() - began < 15_000)
    } finally {
      await way.close()
    }
  })

  it('that stands still is not waited for long, and is named', async () => {
    const name = `failing_${made++}`
    await server.create(name)
    const way = await startForwarder(join(server.folder, '.s.PGSQL.5432'))
    const store = await openPostgresStore({
      address: `postgres://loci@127.0.0.1:${way.port}/${name}?pool=2&pool_wait_ms=1500`,
      directory,
    })
    try {
      const block = await store.blocks.create(ADA, aBlock('x', ''))
      way.silence()
      const began = performance.now()
      const refused = (command: Promise<unknown>) =>
        assert.rejects(command, { code: 'store_unavailable', message: /\/failing_\d+ .*does not answer/ })
      await Promise.all([
        refused(store.blocks.get(ADA, block.id)),
        refused(store.blocks.create(ADA, aBlock('y', ''))),
        // Those that got no connection are not told that there are too few.
        refused(store.blocks.get(ADA, block.id)),
      ])
      assert.ok(performance.now() - began < 18_000)
    } finally {
      await way.close()
      await store.close()
    }
  })

  it('whose connections are all taken answers 503 soon, and when to try again', async () => {
    const address = await database()
    const loci = await startLoci({ env: { LOCI_STORE: `${address}&pool=2&pool_wait_ms=1500` } })
    const locker = new Client({ connectionString: address })
    try {
      const { body } = await loci.http('POST', '/v1/blocks/', { label: 'held', value: '' })
      const { id } = body as { id: string }
      await locker.connect()
      await locker.query('BEGIN')
      await locker.query('SELECT * FROM blocks WHERE id = $1 FOR UPDATE', [id])
      // Each of them holds a connection while it waits for the row.
      const held = ['a', 'b'].map((value) => loci.http('PATCH', `/v1/blocks/${id}`, { value }))
      const refused = await eventually('there is no connection left', async () => {
        const answer = await loci.http('GET', '/v1/agents/')
        return answer.status === 200 ? null : answer
      })
      assert.equal(refused.status, 503)
      assert.equal(refused.headers.get('retry-after'), '1')
      assert.match(
        (refused.body as { detail: string }).detail,
        /None of the 2 connections to the database .* became free in 1\.5 seconds/,
      )
      await locker.query('ROLLBACK')
      assert.deepEqual(
        (await Promise.all(held)).map(({ status }) => status),
        [200, 200],
      )
    } finally {
      await locker.end()
      await loci.close()
    }
  })

  it('that holds no lock for an instance any more gets no turn from it, which others would end', async () => {
    const name = `failing_${made++}`
    await server.create(name)
    const socket = join(server.folder, '.s.PGSQL.5432')
    const [way, own] = await Promise.all([startForwarder(socket), startForwarder(socket)])
    const address = `postgres://loci@127.0.0.1:${way.port}/${name}?direct=127.0.0.1:${own.port}`
    const store = await openPostgresStore({ address, directory })
    try {
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const turn = async () => {
        const run = aRun(agent.id)
        const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
        await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
        return (await store.turns.getRun(ADA, run.id))?.status
      }
      assert.equal(await turn(), 'completed')
      own.to(join(server.folder, 'nowhere'))
      // Everything else goes on.
      assert.equal((await store.agents.get(ADA, agent.id, []))?.name, 'ada')
      await assert.rejects(turn(), { code: 'store_unavailable' })
      own.to(socket)
      const again = await eventually('it has its lock again', () => turn().catch(() => null))
      assert.equal(again, 'completed')
    } finally {
      await store.close()
      await Promise.all([way.close(), own.close()])
    }
  })

  describe('and the connection that stays', () => {
    /** A store whose own connection goes another way than all others, and how it begins and ends a turn. */
    async function withOwnWay(
      work: (given: {
        store: Store
        own: Forwarder
        notices: string[]
        name: string
        turn: () => Promise<string | undefined>
      }) => Promise<void>,
    ): Promise<void> {
      const name = `failing_${made++}`
      await server.create(name)
      const socket = join(server.folder, '.s.PGSQL.5432')
      const [way, own] = await Promise.all([startForwarder(socket), startForwarder(socket)])
      const address = `postgres://loci@127.0.0.1:${way.port}/${name}?direct=127.0.0.1:${own.port}`
      const notices: string[] = []
      const onNotice = (sentence: string) => void notices.push(sentence)
      const store = await openPostgresStore({ address, directory, onNotice })
      try {
        const agent = await store.agents.create(ADA, anAgent('ada'))
        const turn = async () => {
          const run = aRun(agent.id)
          const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
          await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
          return (await store.turns.getRun(ADA, run.id))?.status
        }
        assert.equal(await turn(), 'completed')
        await work({ store, own, notices, name, turn })
      } finally {
        const began = performance.now()
        await store.close()
        assert.ok(performance.now() - began < 5_000, 'it ends in time')
        await Promise.all([way.close(), own.close()])
      }
    }

    it('is cut off, and lives on in the server: it is ended there, and turns go on', () =>
      withOwnWay(async ({ store, own, name, turn }) => {
        const client = new Client({ connectionString: server.address(name) })
        await client.connect()
        const holders = async () => {
          const { rows } = await client.query(
            `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid::bigint > 100
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
          )
          return (rows as { pid: number }[]).map(({ pid }) => pid)
        }
        try {
          const before = await holders()
          assert.equal(before.length, 1)
          own.cutClients()
          const began = performance.now()
          await eventually('the old one is gone', async () =>
            (await holders()).includes(before[0] ?? 0) ? null : true,
          )
          assert.equal(await turn(), 'completed')
          assert.ok(performance.now() - began < 8_000, 'soon')
          const after = await holders()
          assert.equal(after.length, 1)
          assert.notDeepEqual(after, before)
          await store.ready()
        } finally {
          await client.end()
        }
      }))

    it('is accepted and then silent: turns are refused soon, it is not ready, and the operator hears why', () =>
      withOwnWay(async ({ store, own, notices, turn }) => {
        own.silence()
        own.cutClients()
        const began = performance.now()
        await eventually('it knows', () =>
          store.ready().then(
            () => null,
            () => true,
          ),
        )
        await assert.rejects(turn(), {
          code: 'store_unavailable',
          message: /that stays .* is lost .* no turn begins here/,
        })
        assert.ok(performance.now() - began < 10_000, 'within ten seconds')
        await assert.rejects(store.ready(), { code: 'store_unavailable' })
        assert.equal(notices.length, 1)
        assert.match(notices[0] ?? '', /no turn begins here/)
        // Who comes later does not wait so long.
        const later = performance.now()
        await assert.rejects(turn(), { code: 'store_unavailable' })
        assert.ok(performance.now() - later < 3_000, 'later')
        assert.equal(notices.length, 1)
      }))
  })

  it('newer than this Loci is left alone', async () => {
    const address = await database()
    const store = await openPostgresStore({ address: `${address}&pool=1`, directory, version: '9.9.9' })
    const client = new Client({ connectionString: address })
    await client.connect()
    await client.query("UPDATE meta SET value = '999' WHERE key IN ('schema_version', 'oldest_writer')")
    await assert.rejects(store.blocks.create(ADA, aBlock('x', '')), {
      code: 'store_newer',
      message: /was updated by Loci 9\.9\.9; restart this process/,
    })
    await assert.rejects(store.ready(), { code: 'store_newer' })
    // Also where no connection is free.
    const began = performance.now()
    for (const { reason } of (await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) => store.blocks.create(ADA, aBlock(`x${i}`, ''))),
    )) as { reason?: unknown }[])
      assert.ok(isAppError(reason, 'store_newer'), String(reason))
    assert.ok(performance.now() - began < 4_000, 'at once')
    await assert.rejects(openPostgresStore({ address, directory }), { code: 'store_newer' })
    await client.end()
    await store.close()
  })
})

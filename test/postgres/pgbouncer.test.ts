import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Letta, { ConflictError } from '@letta-ai/letta-client'
import { sql } from 'kysely'
import { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { isAppError } from '../../shared/schema/errors.ts'
import { openDatabase } from '../../shared/store/postgres/database.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { describeStore } from '../contracts/store.contract.ts'
import { aBlock, aCommit, ADA, anAgent, aRun, DONE } from '../contracts/store/samples.ts'
import { ServerProcess, STALE_AFTER_MS } from '../reliability/server-process.ts'
import { eventually, otherStore, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { type Bouncer, startBouncer } from './bouncer.ts'
import { startServer, type TestServer } from './server.ts'

describe('PgBouncer', () => {
  let server: TestServer
  let bouncer: Bouncer
  let directory = ''
  let made = 0

  before(async function () {
    this.timeout(120_000)
    server = await startServer()
    bouncer = await startBouncer(server)
    directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    await server.create('migrated')
    await (await openPostgresStore({ address: server.address('migrated'), directory })).close()
  })
  after(async () => {
    await bouncer?.stop()
    await server?.stop()
    if (directory !== '') await rm(directory, { recursive: true })
  })

  describe('through PgBouncer in transaction mode', function () {
    this.timeout(60_000)

    describeStore('PostgresStore', async () => {
      const database = `store_${made++}`
      const address = bouncer.address(database)
      await server.create(database, 'migrated')
      const store = await openPostgresStore({ address, directory })
      return {
        store,
        reopen: () => openPostgresStore({ address, directory }),
        close: async () => {
          await store.close()
          await server.drop(database)
        },
      }
    })
  })

  describe('a store behind PgBouncer', function () {
    this.timeout(120_000)
    let database = ''
    const opened: Store[] = []

    beforeEach(async () => {
      database = `behind_${made++}`
      await server.create(database, 'migrated')
    })
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close()
      await server.drop(database)
    })

    async function open(
      address: string,
      more: { onNotice?: (text: string) => void; stale_after_ms?: number } = {},
    ) {
      const store = await openPostgresStore({ address, directory, ...more })
      opened.push(store)
      return store
    }
    const direct = () => `${bouncer.address(database)}&direct=localhost:5432`
    async function ask<Row>(text: string): Promise<Row[]> {
      const client = new Client({ connectionString: server.address(database) })
      await client.connect()
      try {
        return (await client.query(text)).rows as Row[]
      } finally {
        await client.end()
      }
    }

    it('answers 200 commands at once, each of many statements, from 5 connections', async () => {
      const stores = [await open(`${bouncer.address(database)}&pool=40`), await open(`${direct()}&pool=40`)]
      const agents = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const store = stores[i % 2] ?? assert.fail()
          const agent = await store.agents.create(ADA, anAgent(`agent ${i}`))
          const run = aRun(agent.id)
          const turn = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
          return { store, agent, run, turn }
        }),
      )
      await Promise.all([
        ...agents.map(({ store, run, turn }) =>
          store.turns.commit(ADA, aCommit(turn, run, { finish: DONE })),
        ),
        ...agents.map(({ store, agent }, i) =>
          store.blocks.create(ADA, aBlock(`of ${agent.name}`, String(i))),
        ),
      ])
      for (const [i, { store, run, agent }] of agents.entries()) {
        assert.equal((await store.turns.getRun(ADA, run.id))?.status, 'completed')
        const [block] = await store.blocks.list(
          ADA,
          { label: `of ${agent.name}` },
          { limit: 2, order: 'asc' },
        )
        assert.equal(block?.value, String(i))
      }
    })

    it('prepares no statements there, and none any more where it was told to in vain', async () => {
      const told: string[] = []
      const stores = await Promise.all(
        ['on', 'on', 'off'].map((prepare) =>
          open(`${bouncer.address(database)}&prepare=${prepare}&listen=off`, {
            onNotice: (text) => told.push(text),
          }),
        ),
      )
      const block = await (stores[0] ?? assert.fail()).blocks.create(
        ADA,
        aBlock('log', '', { limit: 100_000 }),
      )
      await Promise.all(
        Array.from({ length: 60 }, (_, i) =>
          (stores[i % 3] ?? assert.fail()).blocks.edit(ADA, block.id, { mode: 'append', text: String(i) }),
        ),
      )
      const value = (await (stores[2] ?? assert.fail()).blocks.get(ADA, block.id))?.value ?? ''
      assert.equal(new Set(value.split('\n').filter(Boolean)).size, 60)
      assert.ok(told.length > 0 && told.length <= 2, `said ${told.length} times`)
      for (const text of told) assert.match(text, /does not follow prepared statements.*prepare=off/)
    })

    it('keeps the limits of a transaction that a pooler takes no parameters for', async () => {
      for (const address of [bouncer.address(database), server.address(database)]) {
        const opened = await openDatabase({ address, version: '1.0.0' })
        const limits = await opened.read((c) =>
          c.get(
            sql`select current_setting('statement_timeout') as statement,
            current_setting('idle_in_transaction_session_timeout') as idle`,
          ),
        )
        await opened.close()
        assert.deepEqual(limits, { statement: '30s', idle: '3s' })
      }
    })

    it('says once what would be better, and what not when it was chosen', async () => {
      const told: string[] = []
      const onNotice = (text: string) => told.push(text)
      await open(bouncer.address(database), { onNotice })
      assert.equal(told.length, 1)
      assert.match(told[0] ?? '', /reached through a pooler, .* direct=host:port, or say listen=off/)
      await open(`${bouncer.address(database)}&listen=off`, { onNotice })
      await open(direct(), { onNotice })
      assert.equal(told.length, 1)
      await open(`${bouncer.address(database)}&direct=${encodeURIComponent(`${server.folder}/`)}:6432`, {
        onNotice,
      })
      assert.match(told[1] ?? '', /by direct=, too/)
    })

    it('that has no connection free answers so in the time that was given', async () => {
      const [other] = [`behind_${made++}`]
      await server.create(other, 'migrated')
      const store = await openPostgresStore({
        address: `${bouncer.address(other)}&pool_wait_ms=700`,
        directory,
      })
      const holders = await Promise.all(
        Array.from({ length: 5 }, async () => {
          const client = new Client({ connectionString: bouncer.address(other) })
          await client.connect()
          return client
        }),
      )
      try {
        await Promise.all(holders.map((client) => client.query('BEGIN')))
        const began = performance.now()
        await assert.rejects(store.blocks.create(ADA, aBlock('x', '')), {
          code: 'store_unavailable',
          message: /pooler .* had no connection free in 0\.7 seconds/,
        })
        assert.ok(performance.now() - began < 5_000)
        await Promise.all(holders.map((client) => client.query('ROLLBACK')))
        await store.blocks.create(ADA, aBlock('x', ''))
      } finally {
        await Promise.all(holders.map((client) => client.end()))
        await store.close()
        await server.drop(other)
      }
    })

    it('loses and doubles nothing that was acknowledged when PgBouncer is started again and again', async () => {
      const stores = [await open(bouncer.address(database)), await open(direct())]
      const block = await (stores[0] ?? assert.fail()).blocks.create(
        ADA,
        aBlock('log', '', { limit: 1_000_000 }),
      )
      const acknowledged: number[] = []
      const stop = new AbortController()
      let next = 0
      const writers = [0, 1, 0, 1].map(async (i) => {
        while (!stop.signal.aborted) {
          const n = next++
          try {
            await (stores[i] ?? assert.fail()).blocks.edit(ADA, block.id, { mode: 'append', text: String(n) })
            acknowledged.push(n)
          } catch (error) {
            assert.ok(isAppError(error, 'store_unavailable'), String(error))
          }
        }
      })
      for (let i = 0; i < 3; i++) {
        const enough = acknowledged.length + 20
        await eventually('the writers go on', () => (acknowledged.length >= enough ? true : null), 30_000)
        await bouncer.restart()
      }
      stop.abort()
      await Promise.all(writers)
      const value = (await (stores[1] ?? assert.fail()).blocks.get(ADA, block.id))?.value ?? ''
      const stored = value.split('\n').filter(Boolean).map(Number)
      assert.equal(new Set(stored).size, stored.length, 'an edit was made twice')
      assert.deepEqual(
        acknowledged.filter((n) => !stored.includes(n)),
        [],
      )
      for (const store of stores) await store.ready()
    })

    for (const [name, ways] of [
      ['only heartbeats', ['pooled', 'pooled']],
      ['a lock in one and heartbeats in the other', ['direct', 'pooled']],
      ['heartbeats in one and a lock in the other', ['pooled', 'direct']],
    ] as const) {
      it(`sees that others live, and that one has gone in good order, with ${name}`, async () => {
        const address = { direct: direct(), pooled: bouncer.address(database) }
        const stale_after_ms = 600
        const one = await open(address[ways[0]], { stale_after_ms })
        const other = await open(address[ways[1]], { stale_after_ms })
        const agent = await one.agents.create(ADA, anAgent('ada'))
        const run = aRun(agent.id)
        const turn = await one.turns.open(ADA, { run, conversation_id: agent.id, messages: [], resume: {} })
        const seen: string[] = []
        const end = performance.now() + 3 * stale_after_ms
        await eventually('it was looked at for long enough', async () => {
          seen.push(...(await other.turns.recover()), ...(await other.turns.interrupted()))
          return performance.now() > end || null
        })
        assert.deepEqual(seen, [])
        assert.equal((await one.turns.commit(ADA, aCommit(turn, run))).status, 'committed')
        await one.close()
        assert.deepEqual(await other.turns.interrupted(), [run.id])
        assert.equal((await other.turns.takeOver(run.id, { max_attempts: 3 }))?.run.id, run.id)
      })
    }

    it('shows by its row that it is there, also after others have taken it for gone', async () => {
      const store = await open(bouncer.address(database), { stale_after_ms: 600 })
      await store.agents.create(ADA, anAgent('ada'))
      const agent = await store.agents.create(ADA, anAgent('bob'))
      const run = aRun(agent.id)
      await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
      const rows = () => ask<{ id: string; heartbeat: string }>('SELECT id, heartbeat FROM instances')
      const [first] = await rows()
      assert.match(first?.id ?? '', /^beat-/)
      await ask('DELETE FROM instances')
      await eventually('it is there again', async () => ((await rows()).length === 1 ? true : null))
    })
  })

  describe('two servers behind PgBouncer', function () {
    this.timeout(120_000)
    const given = otherStore.of
    let model: ScriptedModel
    let folder = ''
    let servers: ServerProcess[] = []

    afterEach(async () => {
      for (const each of servers) await each.kill()
      await model.close()
      await rm(folder, { recursive: true, force: true })
      otherStore.of = given
    })

    async function start(query: string): Promise<[ServerProcess, ServerProcess]> {
      const database = `servers_${made++}`
      await server.create(database, 'migrated')
      otherStore.of = () => Promise.resolve(bouncer.address(database) + query)
      folder = await mkdtemp(join(tmpdir(), 'loci-bouncer-'))
      model = await startScriptedModel([])
      const pair = [new ServerProcess(folder, model.url), new ServerProcess(folder, model.url)] as const
      servers = [...pair]
      await Promise.all(pair.map((each) => each.start()))
      return [...pair]
    }
    const clientOf = ({ url }: ServerProcess) => new Letta({ baseURL: url, apiKey: null, maxRetries: 0 })
    const never = () => new Promise<never>(() => undefined)

    for (const [name, query] of [
      ['without a direct connection', ''],
      ['with a direct connection', '&direct=localhost:5432'],
    ] as const) {
      it(`${name}: the run of one that is killed is gone on with by the other`, async () => {
        const [doomed, survivor] = await start(query)
        const letta = clientOf(doomed)
        const agent = await letta.agents.create({ model: SCRIPTED })
        model.add(
          { reply: { text: ['one', 'two'], hold: never(), hold_after: 1 } },
          { reply: { text: 'Done.' } },
        )
        const run = await letta.agents.messages.createAsync(agent.id, { input: 'go' })
        await model.request(0)
        await doomed.kill()
        const ended = await eventually(
          'the run is completed',
          async () => {
            const found = await clientOf(survivor).runs.retrieve(run.id)
            return found.status === 'completed' || found.status === 'failed' ? found : null
          },
          30_000,
        )
        assert.equal(ended.status, 'completed')
        await model.done()
      })
    }

    it('without a direct connection: one that stood still writes nothing when it wakes', async () => {
      const [frozen, other] = await start('')
      const agent = await clientOf(frozen).agents.create({ model: SCRIPTED })
      let release: (() => void) | undefined
      const hold = new Promise<void>((resolve) => (release = resolve))
      model.add({ reply: { text: ['late ', 'words'], hold, hold_after: 1 } }, { reply: { text: 'In time.' } })
      const sent = clientOf(frozen)
        .agents.messages.create(agent.id, { input: 'first' })
        .catch((error: unknown) => error)
      await model.request(0)
      frozen.signal('SIGSTOP')
      const began = performance.now()
      await eventually(
        'the conversation is free',
        async () => {
          try {
            return await clientOf(other).agents.messages.create(agent.id, { input: 'second' })
          } catch (error) {
            assert.ok(error instanceof ConflictError, String(error))
            return null
          }
        },
        30_000,
      )
      assert.ok(performance.now() - began > STALE_AFTER_MS / 2, 'nobody is given up at once')
      frozen.signal('SIGCONT')
      release?.()
      assert.ok((await sent) instanceof Error, 'the late turn says that it was lost')
      const page = await clientOf(other).agents.messages.list(agent.id, { order: 'asc', limit: 50 })
      const texts = page.items.flatMap((message) =>
        message.message_type === 'assistant_message' && typeof message.content === 'string'
          ? [message.content]
          : [],
      )
      assert.deepEqual(
        texts.filter((text) => /late|In time/.test(text)),
        ['In time.'],
      )
      // It serves again.
      model.add({ reply: { text: 'Again.' } })
      await clientOf(frozen).agents.messages.create(agent.id, { input: 'third' })
      await model.done()
    })
  })
})

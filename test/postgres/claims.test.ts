import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { newId } from '../../shared/schema/ids.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { aFolder } from '../contracts/store/files.ts'
import { ADA, anAgent, aRun, at } from '../contracts/store/samples.ts'
import { startServer, type TestServer } from './server.ts'

const COUNT = 300
const UNLIMITED = { at_once: 10_000, at_providers: 0, except: new Set<string>() }

describe('three stores that take from one queue at once', function () {
  this.timeout(120_000)
  let server: TestServer
  let directory: string
  let address: string
  let stores: Store[] = []
  let made = 0

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
    const database = `claims_${made++}`
    await server.create(database, 'migrated')
    address = server.address(database)
    stores = await Promise.all([1, 2, 3].map(() => openPostgresStore({ address, directory })))
  })
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close()
  })

  /** What all of them take until there is nothing left, each by `next`; one that answers null has seen the end. */
  async function takeAll(next: (store: Store) => Promise<string | null>): Promise<string[]> {
    const taken: string[] = []
    await Promise.all(
      stores.map(async (store) => {
        for (let id = await next(store); id !== null; id = await next(store)) taken.push(id)
      }),
    )
    return taken.toSorted()
  }
  const first = () => stores[0] ?? assert.fail()
  async function inTens(work: (i: number) => Promise<unknown>): Promise<void> {
    for (let i = 0; i < COUNT; i += 10)
      await Promise.all(Array.from({ length: 10 }, (_, more) => work(i + more)))
  }

  it('begin each request of a batch once, and together no more at once than they may', async () => {
    const items = Array.from({ length: COUNT }, () => ({
      id: newId('batch_item'),
      // Each agent has three: one at a time.
      agent_id: newId('agent'),
      request: { input: 'Hi' },
    }))
    for (const [i, item] of items.entries()) item.agent_id = items[i - (i % 3)]?.agent_id ?? item.agent_id
    const batch = { id: newId('job'), callback_url: null, provider_batch: false, items }
    await first().batches.create(ADA, batch)
    const limit = { ...UNLIMITED, at_once: 5 }
    const running = new Set<string>()
    let most = 0
    const taken: string[] = []
    await Promise.all(
      stores.map(async (store) => {
        while (taken.length < COUNT) {
          const claim = await store.batches.claim(limit)
          if (!claim) continue
          assert.ok(!running.has(claim.agent_id), 'two requests of one agent at once')
          running.add(claim.agent_id)
          most = Math.max(most, running.size)
          taken.push(claim.item_id)
          assert.equal(await store.batches.begun(claim, newId('run')), 'held')
          running.delete(claim.agent_id)
          assert.ok(await store.batches.finish(claim, { status: 'completed' }))
        }
      }),
    )
    assert.deepEqual(taken.toSorted(), items.map(({ id }) => id).toSorted())
    assert.ok(most <= limit.at_once)
    assert.equal((await first().batches.get(ADA, batch.id))?.status, 'completed')
  })

  it('hold together no more requests of batches than they may', async () => {
    const items = Array.from({ length: 30 }, () => ({
      id: newId('batch_item'),
      agent_id: newId('agent'),
      request: { input: 'Hi' },
    }))
    await first().batches.create(ADA, { id: newId('job'), callback_url: null, provider_batch: false, items })
    const taken = await takeAll(
      async (store) => (await store.batches.claim({ ...UNLIMITED, at_once: 7 }))?.item_id ?? null,
    )
    assert.equal(new Set(taken).size, 7)
    assert.equal(taken.length, 7)
  })

  it('fire each schedule once', async () => {
    const agent = await first().agents.create(ADA, anAgent('ada'))
    const ids: string[] = []
    await inTens(async () => {
      const id = newId('schedule')
      ids.push(id)
      await first().schedules.create(ADA, {
        id,
        agent_id: agent.id,
        created_at: at(0),
        message: { messages: [{ role: 'user', content: 'Now.' }] },
        schedule: { type: 'recurring', cron_expression: '* * * * *', timezone: 'UTC' },
        next_at: at(1),
      })
    })
    const taken: string[] = []
    await Promise.all(
      stores.map(async (store) => {
        for (;;) {
          const due = await store.schedules.due(new Date(at(2)))
          if (due.length === 0) return
          for (const { id, due_at } of due)
            if (await store.schedules.claim(id, due_at, at(60))) taken.push(id)
        }
      }),
    )
    assert.deepEqual(taken.toSorted(), ids.toSorted())
    const firings = await Promise.all(stores.map((store) => store.schedules.firings()))
    assert.equal(firings.flat().length, COUNT)
  })

  it('read each file once', async () => {
    const folder = await first().folders.create(ADA, aFolder())
    const ids: string[] = []
    await inTens(async (i) => {
      const id = newId('file')
      ids.push(id)
      const file = { id, folder_id: folder.id, name: `${i}.txt`, type: null, size: 1 }
      await first().files.create(ADA, file, 'error')
    })
    const taken = await takeAll(async (store) => {
      const claim = await store.files.claim({ max_attempts: 3 })
      if (!claim) return null
      const end = { status: 'completed', type: 'text/plain', lines: 0, characters: 0 } as const
      assert.ok(await store.files.finish(claim, end), 'it was taken from whom it was given')
      return claim.file_id
    })
    assert.deepEqual(taken, ids.toSorted())
  })

  it('go on with each run once that a process has left', async () => {
    const left = await openPostgresStore({ address, directory })
    const ids: string[] = []
    await inTens(async (i) => {
      const agent = await left.agents.create(ADA, anAgent(`agent ${i}`))
      const run = aRun(agent.id)
      ids.push(run.id)
      await left.turns.open(ADA, { run, conversation_id: agent.id, messages: [], resume: {} })
    })
    await left.close()
    const taken: string[] = []
    await Promise.all(
      stores.map(async (store) => {
        for (;;) {
          const found = await store.turns.interrupted()
          if (found.length === 0) return
          for (const id of found) if (await store.turns.takeOver(id, { max_attempts: 3 })) taken.push(id)
        }
      }),
    )
    assert.deepEqual(taken.toSorted(), ids.toSorted())
  })

  it('pass over what another transaction has, and do not wait for it', async () => {
    const agent = await first().agents.create(ADA, anAgent('ada'))
    const schedule = {
      id: newId('schedule'),
      agent_id: agent.id,
      created_at: at(0),
      message: { messages: [{ role: 'user' as const, content: 'Now.' }] },
      schedule: { type: 'recurring' as const, cron_expression: '* * * * *', timezone: 'UTC' },
      next_at: at(1),
    }
    await first().schedules.create(ADA, schedule)
    const client = new Client({ connectionString: address })
    await client.connect()
    await client.query('BEGIN')
    await client.query('SELECT id FROM schedules FOR UPDATE')
    assert.equal(await first().schedules.claim(schedule.id, at(1), null), false)
    await client.query('ROLLBACK')
    await client.end()
    assert.equal(await first().schedules.claim(schedule.id, at(1), null), true)
  })
})
